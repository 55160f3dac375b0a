// The graphs of a page, drawn by uPlot in the place of the server's drawings: with a scale, and
// with the values below the pointer.
"use strict";

const HEIGHT = 150;
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
const said = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
// The moment of a mark of the axis, as short as the distance of two marks allows.
const marks = (_, all, __, ___, step) => all.map((seconds) => {
  const text = new Date(seconds * 1000).toISOString();
  return step < 60 ? text.slice(11, 19) : step < 86400 ? text.slice(11, 16) : text.slice(5, 10);
});
// From the first moment to the last one, at least of a minute: that of two samples says little.
const MINUTE_S = 60;
const span = (_, low, high) => {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - MINUTE_S), end];
};
const COLOURS = 6;
const colour = (element) => getComputedStyle(element).color;

// The lines of all nodes at all moments at which one of them has a value; where another one has
// none it is undefined, and null where a node was not there.
const joined = (all, key) => all.length ? uPlot.join(all.map(({ at, graphs }) => [at, ...graphs[key]])) : [[]];
// The last value that a line has had by then.
const until = (line, index) => {
  while (index >= 0 && line[index] === undefined) index -= 1;
  return line[index];
};

function graph(figure, all) {
  const ofNodes = figure.closest("[data-of-nodes]") !== null;
  const data = joined(all, figure.dataset.graph);
  const plot = figure.querySelector("[data-plot]");
  const keys = [...figure.querySelectorAll("[data-line]")];
  const last = keys.map((key) => key.querySelector("[data-last]"));
  const { unit } = figure.dataset;
  const moment = figure.querySelector("[data-moment]");
  const tell = (drawn) => {
    const isPointed = drawn.cursor.idx !== null && drawn.cursor.idx !== undefined;
    const index = isPointed ? drawn.cursor.idx : drawn.data[0].length - 1;
    last.forEach((each, line) => {
      const values = drawn.data[line + 1];
      const isOver = keys[line].dataset.gone !== undefined && values.findLastIndex((value) => value !== undefined) < index;
      const value = until(values, index);
      each.textContent = isOver && !isPointed ? "gone" : isOver || value === null || value === undefined
        ? "–" : `${said(value)} ${unit}`.trim();
    });
    moment.textContent = isPointed
      ? `${new Date(drawn.data[0][index] * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
  };
  const axis = {
    stroke: () => colour(moment),
    grid: { stroke: () => getComputedStyle(figure).borderTopColor, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  plot.replaceChildren();
  const drawn = new uPlot({
    width: plot.clientWidth,
    height: HEIGHT,
    tzDate: utc,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { range: span }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.08] } },
    axes: [
      { ...axis, space: 64, size: 28, values: marks },
      { ...axis, size: 46, space: 32, values: (_, all) => all.map(said) },
    ],
    series: [{}, ...keys.map((key, line) => ({
      stroke: () => colour(key),
      fill: line || ofNodes ? undefined : () => colour(key).replace("rgb(", "rgba(").replace(")", ", 0.12)"),
      width: 2,
      dash: ofNodes ? (line < COLOURS ? undefined : [5, 4]) : line ? [5, 4] : undefined,
      points: { show: false },
    }))],
    hooks: { setCursor: [tell], setData: [tell] },
  }, data, plot);
  figure.querySelector(".ticks").remove();
  new ResizeObserver(() => drawn.setSize({ width: plot.clientWidth, height: HEIGHT })).observe(plot);
  return drawn;
}

const asked = async (place) => {
  const answer = await fetch(place.dataset.graphs);
  return answer.ok && !answer.redirected ? answer.json() : undefined;
};
// Whose lines there are, and who of them is gone.
const whose = (place) => [...place.querySelector("[data-graph]").querySelectorAll("[data-line]")].map((key) =>
  key.dataset.line + (key.dataset.gone === undefined ? "" : "-")).join();
const told = (all) => all.map((each) => each.node + (each.is_gone ? "-" : "")).join();

async function draw(place) {
  const all = await asked(place);
  if (!all) return;
  const drawn = new Map([...place.querySelectorAll("[data-graph]")].map((figure) =>
    [figure.dataset.graph, graph(figure, all)]));
  place.dataset.drawn = "1";
  matchMedia("(prefers-color-scheme: dark)").onchange = () => drawn.forEach((each) => each.redraw());
  const live = document.querySelector("[data-live]");
  if (!live || place.dataset.goesOn === undefined) return;
  live.addEventListener("told", ({ detail }) => {
    const [now] = detail[0].at;
    if (now === undefined || now <= (place.now ?? all[0].at.at(-1) ?? 0) + 1) return;
    place.now = now;
    if (place.dataset.ofNodes === undefined) goOn(all[0], detail, drawn);
    else askAgain(place, drawn);
  });
}

// A step more of this server's lines; what is older than an hour is left out.
function goOn(here, detail, drawn) {
  const { at, graphs } = here;
  const steps = Object.assign({}, ...detail.map((each) => each.graphs));
  const [now] = detail[0].at;
  at.push(now);
  while (at[0] < now - 3600) at.shift();
  for (const [key, each] of drawn) {
    graphs[key].forEach((line, index) => {
      line.push(steps[key][index][0]);
      line.splice(0, line.length - at.length);
    });
    each.setData(joined([here], key));
  }
}

// What the nodes say now. When one has come or gone the page is another one.
async function askAgain(place, drawn) {
  const all = await asked(place);
  if (!all) return;
  if (told(all) !== whose(place)) {
    location.reload();
    return;
  }
  drawn.forEach((each, key) => each.setData(joined(all, key)));
  const answer = await fetch(location.href);
  if (answer.ok && !answer.redirected) renew(await answer.text());
}

// The tables of the page as they are now.
function renew(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const table of document.querySelectorAll("main .scroll")) {
    const now = page.querySelector(`.scroll[aria-label="${CSS.escape(table.ariaLabel)}"]`);
    if (now && now.innerHTML !== table.innerHTML) table.replaceChildren(...now.childNodes);
  }
}

const place = document.querySelector("[data-graphs]");
if (place) draw(place);
