// Plots and table of one page. `data` comes from the page itself; nothing is fetched.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const axes = data.axes, runs = data.runs;
const ranges = new Map();  // axis -> [low, high] in 0..1, kept by dragging

function svg(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function shown(value, axis) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (axis.name.endsWith("bytes")) return (value / 1024).toFixed(1) + " KiB";
  if (Math.abs(value) >= 10) return Math.round(value).toLocaleString("en");
  return String(+value.toPrecision(4));
}

// Where a value stands on its axis, 0 at the bottom to 1 at the top; better is up.
const scales = axes.map((axis, index) => {
  const values = runs.map(run => run.values[index]).filter(value => value !== null);
  if (values.some(value => typeof value === "string")) {
    const words = [...new Set(values.map(String))].sort();
    const step = words.length > 1 ? 1 / (words.length - 1) : 0;
    return {
      at: value => value === null ? null : words.length > 1 ? words.indexOf(String(value)) * step : 0.5,
      ticks: words.map((word, place) => [words.length > 1 ? place * step : 0.5, word]),
    };
  }
  const low = Math.min(...values), high = Math.max(...values);
  const log = low > 0 && high / low > 30;
  const map = log ? Math.log : value => value;
  const span = map(high) - map(low);
  const share = value => span ? (map(value) - map(low)) / span : 0.5;
  const at = value => value === null ? null : axis.is_cost ? 1 - share(value) : share(value);
  const few = [...new Set(values)];
  if (few.length <= 4) return { at, ticks: few.map(value => [at(value), shown(value, axis)]) };
  const count = 5;
  const ticks = [...Array(count).keys()].map(place => {
    const moved = map(low) + span * place / (count - 1);
    const value = log ? Math.exp(moved) : moved;
    return [at(value), shown(value, axis)];
  });
  return { at, ticks };
});

function drawParallel() {
  const width = 1300, height = 330, top = 42, bottom = 14, side = 90;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const x = index => axes.length > 1 ? side + (width - 2 * side) * index / (axes.length - 1) : width / 2;
  const y = share => height - bottom - share * (height - top - bottom);
  runs.map((run, number) => [run, number]).sort((a, b) => a[0].pareto - b[0].pareto)
    .forEach(([run, number]) => {
      const points = [];
      run.values.forEach((value, index) => {
        const share = scales[index].at(value);
        if (share !== null) points.push(`${x(index)},${y(share)}`);
      });
      const line = svg("polyline", { points: points.join(" "), class: run.pareto ? "run best" : "run", "data-run": number }, root);
      svg("title", {}, line, describe(run));
    });
  axes.forEach((axis, index) => {
    svg("line", { x1: x(index), x2: x(index), y1: y(0), y2: y(1), class: "axis" }, root);
    svg("text", { x: x(index), y: index % 2 ? 12 : 26, "text-anchor": "middle", "font-weight": 600 }, root, axis.title);
    for (const [share, text] of scales[index].ticks) {
      svg("text", { x: x(index) + 5, y: y(share) + 3, fill: "#555" }, root, text);
    }
    const brush = svg("rect", { x: x(index) - 9, width: 18, class: "brush", visibility: "hidden" }, root);
    const hit = svg("rect", { x: x(index) - 12, y: y(1) - 6, width: 24, height: y(0) - y(1) + 12, class: "hit" }, root);
    let start = null;
    const place = event => {
      const box = root.getBoundingClientRect();
      const inside = (event.clientY - box.top) * height / box.height;
      return Math.min(1.02, Math.max(-0.02, (y(0) - inside) / (y(0) - y(1))));
    };
    hit.addEventListener("pointerdown", event => { start = place(event); hit.setPointerCapture(event.pointerId); });
    hit.addEventListener("pointermove", event => {
      if (start === null) return;
      const end = place(event), range = [Math.min(start, end), Math.max(start, end)];
      const kept = range[1] - range[0] > 0.02;
      if (kept) ranges.set(index, range); else ranges.delete(index);
      brush.setAttribute("visibility", kept ? "visible" : "hidden");
      brush.setAttribute("y", y(range[1]));
      brush.setAttribute("height", y(range[0]) - y(range[1]));
      filter();
    });
    hit.addEventListener("pointerup", event => {
      if (start !== null && Math.abs(place(event) - start) <= 0.02) {
        ranges.delete(index);
        brush.setAttribute("visibility", "hidden");
        filter();
      }
      start = null;
    });
  });
  document.getElementById("parallel").replaceChildren(root);
}

function describe(run) {
  return run.name + "\n" + axes.map((axis, index) => `${axis.title}: ${shown(run.values[index], axis)}`).join("\n");
}

function beats(first, second, pair) {
  const better = index => {
    const a = first.values[index], b = second.values[index];
    return axes[index].is_cost ? b - a : a - b;
  };
  const gains = pair.map(better);
  return gains.every(gain => gain >= 0) && gains.some(gain => gain > 0);
}

function drawFront() {
  const across = +document.getElementById("across").value, up = +document.getElementById("up").value;
  const width = 900, height = 400, left = 90, right = 30, top = 12, bottom = 46;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const plain = index => value => axes[index].is_cost ? 1 - scales[index].at(value) : scales[index].at(value);
  const x = value => left + (0.03 + 0.94 * plain(across)(value)) * (width - left - right);
  const y = value => height - bottom - (0.03 + 0.94 * plain(up)(value)) * (height - top - bottom);
  svg("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, class: "axis" }, root);
  svg("line", { x1: left, x2: left, y1: top, y2: height - bottom, class: "axis" }, root);
  for (const [share, text] of scales[across].ticks) {
    const place = left + (0.03 + 0.94 * (axes[across].is_cost ? 1 - share : share)) * (width - left - right);
    svg("line", { x1: place, x2: place, y1: top, y2: height - bottom, class: "grid" }, root);
    svg("text", { x: place, y: height - bottom + 16, "text-anchor": "middle", fill: "#555" }, root, text);
  }
  for (const [share, text] of scales[up].ticks) {
    const place = height - bottom - (0.03 + 0.94 * (axes[up].is_cost ? 1 - share : share)) * (height - top - bottom);
    svg("line", { x1: left, x2: width - right, y1: place, y2: place, class: "grid" }, root);
    svg("text", { x: left - 6, y: place + 4, "text-anchor": "end", fill: "#555" }, root, text);
  }
  svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle", "font-weight": 600 }, root, axes[across].title);
  svg("text", { x: 14, y: height / 2, "text-anchor": "middle", "font-weight": 600, transform: `rotate(-90 14 ${height / 2})` }, root, axes[up].title);
  const numeric = run => [across, up].every(index => typeof run.values[index] === "number");
  const known = runs.filter(numeric);
  const best = known.filter(run => !known.some(other => beats(other, run, [across, up])));
  const ordered = [...best].sort((a, b) => a.values[across] - b.values[across] || a.values[up] - b.values[up]);
  svg("polyline", { points: ordered.map(run => `${x(run.values[across])},${y(run.values[up])}`).join(" "), class: "step" }, root);
  runs.forEach((run, number) => {
    if (run.values[across] === null || run.values[up] === null) return;
    const dot = svg("circle", { cx: x(run.values[across]), cy: y(run.values[up]), r: best.includes(run) ? 6 : 4.5, class: best.includes(run) ? "dot best" : "dot", "data-run": number }, root);
    svg("title", {}, dot, describe(run));
    if (best.includes(run)) svg("text", { x: x(run.values[across]) + 8, y: y(run.values[up]) + 13, fill: "#0072b2" }, root, run.name);
  });
  document.getElementById("front").replaceChildren(root);
  filter();
}

function filter() {
  runs.forEach((run, number) => {
    const kept = [...ranges].every(([index, [low, high]]) => {
      const share = scales[index].at(run.values[index]);
      return share !== null && share >= low && share <= high;
    });
    document.querySelectorAll(`[data-run="${number}"]`).forEach(part => part.classList.toggle("off", !kept));
  });
}

function choices() {
  data.shown.forEach((chosen, place) => {
    const select = document.getElementById(place ? "up" : "across");
    axes.forEach((axis, index) => select.add(new Option(axis.title, index, false, index === chosen)));
    select.addEventListener("change", drawFront);
  });
}

function sortable() {
  const table = document.getElementById("runs"), body = table.tBodies[0];
  [...body.rows].forEach((row, number) => row.setAttribute("data-run", number));
  [...table.tHead.rows[0].cells].forEach((cell, column) => cell.addEventListener("click", () => {
    const down = cell.dataset.sorted !== " ↓";
    [...table.tHead.rows[0].cells].forEach(other => delete other.dataset.sorted);
    cell.dataset.sorted = down ? " ↓" : " ↑";
    const key = row => {
      const run = runs[+row.dataset.run];
      return column === 0 ? +run.pareto : column === 1 ? run.name : run.values[column - 2];
    };
    const compare = (a, b) => {
      const first = key(a), second = key(b);
      if (first === null || second === null) return (first === null) - (second === null);
      const order = typeof first === "string" ? first.localeCompare(second) : first - second;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  }));
}

function highlight(event) {
  const part = event.target.closest("[data-run]");
  document.querySelectorAll(".hot").forEach(other => other.classList.remove("hot"));
  if (part) document.querySelectorAll(`[data-run="${part.dataset.run}"]`).forEach(same => same.classList.add("hot"));
}

choices();
sortable();
drawParallel();
drawFront();
document.addEventListener("pointerover", highlight);
