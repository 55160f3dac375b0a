// What is behind "#" is the token: it is put into the form, which is sent without leaving the page,
// so that the link stays what it is when the page is read again.
"use strict";

async function send(form) {
  const body = new URLSearchParams(new FormData(form));
  const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
  const shown = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = shown.querySelector("main");
  if (!main) {
    form.submit();
    return;
  }
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.title = shown.title;
  main.focus({ preventScroll: true });
}

function open() {
  const form = document.querySelector("form[data-open]");
  const token = location.hash.slice(1);
  if (form && token) {
    form.elements.invitation.value = token;
    send(form).catch(() => form.submit());
  }
}

addEventListener("hashchange", () => location.reload());
open();
