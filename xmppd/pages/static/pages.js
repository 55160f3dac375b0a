// What pages do beyond HTML; each works without this file.
"use strict";

// A form that begins something long cannot be sent twice.
document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button[type=submit]");
  if (button && event.target.method === "post") {
    button.setAttribute("aria-disabled", "true");
    event.target.addEventListener("submit", (again) => again.preventDefault());
  }
});

// Coming back by the browser's button finds the form as it was.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Ctrl-K leads to the search, Escape closes what is open.
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("input[type=search]");
  if (search && event.key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll("details.menu[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  }
});
