// What only the console does: numbers and lines as they come. Without it a page says how it was.
"use strict";

// The tiles of the overview.
const live = document.querySelector("[data-live]");
if (live) {
  const source = new EventSource(live.dataset.live);
  source.onmessage = (event) => {
    const all = JSON.parse(event.data);
    live.dispatchEvent(new CustomEvent("told", { detail: all.step }));
    for (const [key, told] of Object.entries(all)) {
      const tile = live.querySelector(`[data-tile="${key}"]`);
      if (!tile) continue;
      tile.querySelector("[data-value]").textContent = told.value;
      tile.querySelector("[data-note]").textContent = told.note;
      const unit = tile.querySelector("[data-unit]");
      if (unit) unit.textContent = told.unit;
      const [area, line] = tile.querySelectorAll("path");
      line.setAttribute("d", told.line);
      area.setAttribute("d", told.area);
    }
    live.dataset.told = "1";
  };
  addEventListener("pagehide", () => source.close());
}

// The lines of a command that has no end; the last ones are kept.
const MAX_LINES = 1000;
const log = document.querySelector("[data-stream]");
if (log) {
  const pause = document.querySelector("[data-pause]");
  const copy = document.querySelector("[data-copy]");
  const waiting = [];
  let paused = false;
  const add = (text) => {
    const line = document.createElement("li");
    const isolated = document.createElement("bdi");
    isolated.textContent = text;
    line.append(isolated);
    log.append(line);
    while (log.children.length > MAX_LINES) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const take = (text) => {
    if (!paused) add(text);
    else if (waiting.push(text) > MAX_LINES) waiting.shift();
  };
  const source = new EventSource(log.dataset.stream);
  source.onopen = () => { log.dataset.open = "1"; };
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.addEventListener("end", (event) => {
    take(JSON.parse(event.data));
    source.close();
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) take("This has ended.");
  };
  addEventListener("pagehide", () => source.close());
  pause.hidden = copy.hidden = false;
  pause.onclick = () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    while (!paused && waiting.length) add(waiting.shift());
  };
  copy.onclick = () => navigator.clipboard.writeText(
    [...log.children].map((line) => line.textContent).join("\n"));
}
