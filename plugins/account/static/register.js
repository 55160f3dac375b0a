// Finds what makes a digest begin with so many noughts, while the form is filled in.
"use strict";

const form = document.querySelector("form[data-puzzle]");

async function solved(puzzle, bits) {
  const text = new TextEncoder();
  for (let answer = 0; ; answer++) {
    const digest = await crypto.subtle.digest("SHA-256", text.encode(`${puzzle}:${answer}`));
    if (new DataView(digest).getUint32(0) >>> (32 - bits) === 0) return String(answer);
  }
}

if (form) {
  const answer = solved(form.dataset.puzzle, Number(form.dataset.bits));
  answer.then((found) => (form.elements.answer.value = found));
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    event.stopPropagation();
    form.elements.answer.value = await answer;
    form.requestSubmit();
  });
}
