// What is behind "#" is a token: it is put into the form that waits for it, which is sent without
// leaving the page, so that the link stays what it is when the page is read again; a form that leads
// to another page leaves it.
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

const waiting = document.querySelector("form[data-token]");
if (waiting && location.hash.length > 1) {
  waiting.elements[waiting.dataset.token].value = location.hash.slice(1);
  if ("leaves" in waiting.dataset) waiting.submit();
  else send(waiting).catch(() => waiting.submit());
}
addEventListener("hashchange", () => location.reload());
