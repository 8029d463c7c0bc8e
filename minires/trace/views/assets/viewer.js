"use strict";
// Draws what viewer_logic.js says: the road, the time line, the step, the figures, each anew from
// the state. No style attribute is ever written: widths go through classes and custom properties.
(() => {
  const L = TraceLogic;
  const byId = (id) => document.getElementById(id);
  const model = L.open(JSON.parse(byId("data").textContent));
  const SVG = "http://www.w3.org/2000/svg";
  let state = L.fromHash(model, L.start(model), location.hash);
  let all = [];
  let density = "";
  let drawn = "";
  let ticking = null;
  let answered = null;

  // ---- elements --------------------------------------------------------------------------------

  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) {
        element.setAttribute(key, value === true ? "" : value);
      }
    }
    element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const words = (...names) => names.filter(Boolean).join(" ");

  const rowOf = model.panes.map((_, pane) => {
    const found = new Map();
    model.rows.forEach((row, number) => {
      if (row.steps[pane] !== null && row.steps[pane] !== undefined) found.set(row.steps[pane], number);
    });
    return found;
  });
  const valueRow = (pane, value) => {
    const op = model.panes[pane].values[value].op;
    return op === undefined ? undefined : rowOf[pane].get(op);
  };
  const backwardRan = model.panes.some((pane) => pane.backward.length);

  function change(next) {
    if (!next || next === state) return;
    if (next.step !== state.step) answered = null;
    state = next;
    render();
  }

  // ---- head ------------------------------------------------------------------------------------

  function head() {
    const [first] = model.panes;
    const count = (n, what) => `${n} ${what} step${n === 1 ? "" : "s"}`;
    byId("lede").textContent = model.panes.length > 1
      ? "Two networks, one step of training, side by side."
      : `${count(first.forward.length, "forward")}, ${count(first.backward.length, "backward")}; minires ${first.minires}`;
    const notes = [];
    for (const pane of model.panes) {
      const who = model.panes.length > 1 ? `${pane.name}: ` : "";
      if (!pane.forward.length) notes.push(`${who}Nothing was recorded: no op ran inside the with-block.`);
      else if (!pane.backward.length) {
        notes.push(`${who}Backward has not run inside the with-block, so there are no gradients. Call loss.backward() before the block ends.`);
      }
      if (pane.error) notes.push(`${who}The with-block ended with an exception; the trace goes up to there. ${pane.error}`);
      if (pane.left_out) notes.push(`${who}${pane.left_out} arrays were not kept: the memory budget was reached.`);
    }
    const differ = model.data.differences || [];
    if (differ.length) notes.push(`These are not twins: ${differ.slice(0, 4).join("; ")}${differ.length > 4 ? `; and ${differ.length - 4} more` : ""}.`);
    byId("notice").textContent = notes.join("\n");
    byId("notice").hidden = !notes.length;
    byId("compare").hidden = model.panes.length < 2;
    for (const [id, [label]] of Object.entries(L.MEASURES)) byId("show").append(h("option", { value: id }, label));
    byId("scrub").max = Math.max(0, model.ticks.length - 1);
  }

  // ---- the time line ---------------------------------------------------------------------------

  function strip() {
    const n = Math.max(1, model.ticks.length - 1);
    const marks = [];
    let from = 0;
    const way = (i) => (model.ticks[i].kind === L.FORWARD ? "forward" : "backward");
    for (let i = 1; i <= model.ticks.length; i++) {
      if (i < model.ticks.length && way(i) === way(from)) continue;
      if (from < model.ticks.length) {
        marks.push(s("rect", { class: `strip-${way(from)}`, x: from - 0.5, width: i - from, y: 4, height: 16 }));
      }
      from = i;
    }
    let group = null;
    model.ticks.forEach((tick, i) => {
      const here = tick.row === null ? null : model.rows[tick.row].group;
      if (i && here !== group) marks.push(s("path", { class: "strip-tick", d: `M${i - 0.5} 4V20` }));
      group = here;
      if (L.isFork(model, state, i)) marks.push(s("path", { class: "strip-fork", d: `M${i} 20V24` }));
    });
    for (let i = 0; (state.when.length || state.breaks.length) && i < model.ticks.length; i++) {
      if (L.stops(model, state, i)) marks.push(s("path", { class: "strip-stop", d: `M${i} 0V4` }));
    }
    const svg = byId("strip");
    svg.setAttribute("viewBox", `0 0 ${n} 24`);
    svg.replaceChildren(...marks);
  }

  function time() {
    const scrub = byId("scrub");
    const said = L.describe(model, state);
    scrub.value = state.step;
    scrub.setAttribute("aria-valuetext", said);
    byId("now").textContent = said;
    byId("play").textContent = state.playing ? "❚❚" : "▶";
    byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  }

  // ---- the road --------------------------------------------------------------------------------

  const HEIGHTS = { "": 30, small: 20, tiny: 13 };

  // Where everything stands across the road, for the width that there is.
  function columns(width) {
    const panes = L.shown(model, state);
    const each = (width - (panes.length - 1) * 16) / panes.length;
    return panes.map((pane, place) => {
      const lanes = Math.min(6, Math.max(1, ...L.arcs(model, all, pane).map((arc) => arc.lane + 1)));
      const narrow = each < 330;
      const gutter = (narrow ? 20 : 30) + lanes * (narrow ? 6 : 10);
      const left = place * (each + 16);
      const named = place === 0 || each >= 330;
      const digits = each >= 400 ? 84 : 0;
      const rest = each - gutter - digits;
      const track = named ? Math.max(60, Math.min(300, rest * (narrow ? 0.36 : 0.44))) : rest - 8;
      return {
        pane, left, width: each, road: left + gutter - 10, lane: narrow ? 6 : 10, label: left + gutter + 4,
        labelWidth: named ? rest - track - 14 : 0, track: left + each - digits - track, trackWidth: track - 12, digits,
      };
    });
  }

  function road() {
    all = L.lines(model, state);
    const tree = byId("tree");
    const { clientWidth: width } = tree;
    const key = JSON.stringify([state.open, state.cmp, density, width]);
    const at = columns(width);
    if (key !== drawn) {
      drawn = key;
      tree.className = words("tree", density);
      at.forEach((column, place) => {
        tree.style.setProperty(`--label-${place}`, `${column.label}px`);
        tree.style.setProperty(`--label-width-${place}`, `${column.labelWidth}px`);
        tree.style.setProperty(`--number-${place}`, `${column.left + column.width - column.digits}px`);
        tree.style.setProperty(`--number-width-${place}`, `${column.digits - 8}px`);
      });
      const built = document.createDocumentFragment();
      all.forEach((line, index) => built.append(lineElement(line, index, at)));
      tree.replaceChildren(built, s("svg", { id: "drawing", "aria-hidden": "true" }));
    }
    const domain = L.domain(model, state);
    const tick = model.ticks[state.step];
    const current = tick && tick.row !== null ? L.lineOf(all, tick.row) : -1;
    all.forEach((line, index) => {
      const element = tree.children[index];
      element.setAttribute("aria-selected", index === current ? "true" : "false");
      element.classList.toggle("ahead", isAhead(line));
      at.forEach((column, place) => {
        const cell = element.querySelector(`.number-${place}`);
        if (cell) cell.textContent = numberAt(line, column.pane);
      });
      element.setAttribute("aria-label", lineSaid(line, at));
    });
    if (current >= 0) tree.setAttribute("aria-activedescendant", `line-${all[current].id}`);
    drawing(at, domain, current);
    axis(at, domain);
    follow(current);
    roadTable();
  }

  const isAhead = (line) => {
    const tick = model.ticks[state.step];
    return tick && tick.kind === L.FORWARD && model.rows[line.first].ticks[0].every((i) => i > state.step);
  };

  function numberAt(line, pane) {
    const size = L.sizeOf(model, state, pane, line.row);
    if (size === null || unseen(line.row, pane)) return "";
    return L.format(size);
  }

  // Whether the learner has yet to predict what would be shown here.
  function unseen(row, pane) {
    if (!state.predict || !state.show.startsWith("gradient")) return false;
    const turn = L.turn(model, pane, row);
    return turn !== null && L.hidden(model, state, pane, turn);
  }

  function lineSaid(line, at) {
    const sizes = at.map(({ pane }) => {
      const name = at.length > 1 ? `${model.panes[pane].name}: ` : "";
      if (ghost(line, pane)) return `${name}no such step`;
      const text = numberAt(line, pane);
      return `${name}${L.MEASURES[state.show][0]} ${text || "not shown"}`;
    });
    return `${line.label}${line.detail ? `, ${line.detail}` : ""}; ${sizes.join("; ")}`;
  }

  function ghost(line, pane) {
    for (let row = line.first; row <= line.last; row++) if (model.rows[row].steps[pane] !== null) return false;
    return true;
  }

  function lineElement(line, index, at) {
    const cells = at.map((column, place) => {
      const name = h("div", { class: `cell label label-${place} level-${line.level}` });
      if (column.labelWidth > 0) {
        if (line.holds) name.append(h("span", { class: "caret" }, line.open ? "▾" : "▸"));
        if (ghost(line, column.pane)) {
          const step = model.rows[line.row].steps.findIndex((each) => each !== null);
          const join = model.panes[step].forward[model.rows[line.row].steps[step]].join;
          name.append(h("span", { class: "void" }, join ? "no shortcut here" : "not here"));
        } else {
          name.append(h("span", { class: line.holds ? "fold" : "" }, line.label));
          if (line.detail && column.width > 420) name.append(h("span", { class: "detail" }, line.detail));
        }
      }
      return [name, column.digits ? h("div", { class: `cell num number-${place}` }) : null];
    });
    return h("div", {
      class: "line", id: `line-${line.id}`, role: "treeitem", "aria-level": line.level + 1,
      "aria-expanded": line.holds ? String(line.open) : null, "aria-selected": "false",
      onclick: (event) => {
        if (event.target.classList.contains("caret")) return change(L.toggle(state, line.id));
        return change(L.row(model, state, line.holds ? line.last : line.row));
      },
      ondblclick: () => line.holds && change(L.toggle(state, line.id)),
    }, cells);
  }

  function drawing(at, domain, current) {
    const height = HEIGHTS[density];
    const y = (index) => (index + 0.5) * height;
    const marks = document.createDocumentFragment();
    for (const column of at) {
      gridLines(marks, column, domain, all.length * height);
      roadLine(marks, column, y, current, height);
    }
    for (const column of at) profile(marks, column, at, y, domain);
    const svg = byId("drawing");
    svg.setAttribute("width", byId("tree").clientWidth);
    svg.setAttribute("height", all.length * height);
    svg.replaceChildren(marks);
  }

  function decades({ scale, lo, hi }) {
    if (scale !== "log") return [0, 0.25, 0.5, 0.75, 1].map((part) => lo + part * (hi - lo));
    const [from, to] = [Math.round(Math.log10(lo)), Math.round(Math.log10(hi))];
    return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  }

  function gridLines(marks, column, domain, height) {
    for (const size of decades(domain)) {
      const x = column.track + L.place(size, domain).at * column.trackWidth;
      marks.append(s("path", { class: "grid", d: `M${x.toFixed(1)} 0V${height}` }));
    }
  }

  function roadLine(marks, { pane, road: x, lane }, y, current, height) {
    const arcs = L.arcs(model, all, pane);
    const present = all.map((line) => !ghost(line, pane));
    const under = new Set();
    for (const arc of arcs) if (arc.side === "shortcut") for (let i = arc.start; i < arc.end; i++) under.add(i);
    const order = present.map((is, index) => (is ? index : -1)).filter((index) => index >= 0);
    for (let i = 1; i < order.length; i++) {
      marks.append(s("path", { class: words("roadline", under.has(order[i - 1]) && "branch"), d: `M${x} ${y(order[i - 1])}V${y(order[i])}` }));
    }
    const bow = (arc, kind) => {
      const far = x - 8 - Math.min(arc.lane + 1, 6) * lane;
      const bend = Math.min(height * 0.62, (y(arc.end) - y(arc.start)) / 2);
      return s("path", {
        class: words("arc", kind, !kind.includes("absent") && arc.end === current && "now"),
        d: `M${x} ${y(arc.start)}C${far} ${y(arc.start)} ${far} ${y(arc.start)} ${far} ${y(arc.start) + bend}V${y(arc.end) - bend}C${far} ${y(arc.end)} ${far} ${y(arc.end)} ${x} ${y(arc.end)}`,
      });
    };
    if (model.panes.length > 1 && state.cmp) {
      const own = new Set(arcs.filter((arc) => arc.side === "shortcut").map((arc) => `${arc.start} ${arc.end}`));
      for (const arc of L.arcs(model, all, 1 - pane)) {
        if (arc.side === "shortcut" && !own.has(`${arc.start} ${arc.end}`)) marks.append(bow(arc, "absent"));
      }
    }
    for (const arc of arcs) marks.append(bow(arc, arc.side || ""));
    all.forEach((line, index) => marks.append(node(line, index, pane, x, y(index), present[index])));
  }

  function node(line, index, pane, x, y, present) {
    const r = density === "tiny" ? 2.6 : line.holds && !line.open ? 5 : 3.6;
    if (!present) return s("circle", { class: "node absent", cx: x, cy: y, r: 3.6 });
    const done = !isAhead(line);
    const step = model.panes[pane].forward[model.rows[line.row].steps[pane]];
    const parts = [];
    if (line.holds && !line.open) {
      parts.push(s("rect", { class: words("node", done && "done"), x: x - r, y: y - r, width: 2 * r, height: 2 * r, rx: 1.6 }));
    } else if (step && step.join && !line.holds) {
      parts.push(s("circle", { class: "node", cx: x, cy: y, r: r + 2 }), s("path", { class: "plus", d: `M${x - 3} ${y}H${x + 3}M${x} ${y - 3}V${y + 3}` }));
    } else parts.push(s("circle", { class: words("node", done && "done"), cx: x, cy: y, r: line.open ? 2.4 : r }));
    if (breakIn(line)) parts.push(s("circle", { class: "stop", cx: x + 8, cy: y - 5, r: 3 }));
    return s("g", null, parts);
  }

  const breakIn = (line) => state.breaks.some((i) => {
    const { row } = model.ticks[i];
    return row !== null && line.first <= row && row <= line.last && !line.open;
  });

  function profile(marks, column, at, y, domain) {
    const gradient = state.show.startsWith("gradient");
    const x = (size) => column.track + L.place(size, domain).at * column.trackWidth;
    const trail = (pane, keep) => {
      let path = "", broken = true;
      all.forEach((line, index) => {
        const size = L.sizeOf(model, state, pane, line.row);
        const { at: part } = L.place(size, domain);
        if (line.open || ghost(line, pane)) return;
        if (part === undefined || !keep(line)) { broken = true; return; }
        path += `${broken ? "M" : "L"}${x(size).toFixed(1)} ${y(index)}`;
        broken = false;
      });
      return path;
    };
    const reached = (pane) => (line) => {
      if (unseen(line.row, pane)) return false;
      const turn = gradient ? L.turn(model, pane, line.row) : null;
      return turn === null ? !isAhead(line) : turn <= state.step;
    };
    const may = (pane) => (line) => !unseen(line.row, pane);
    for (const other of at) {
      if (other.pane !== column.pane) marks.append(s("path", { class: "profile other", d: trail(other.pane, may(other.pane)) }));
    }
    marks.append(s("path", { class: "profile ahead", d: trail(column.pane, may(column.pane)) }));
    marks.append(s("path", { class: "profile", d: trail(column.pane, reached(column.pane)) }));
    all.forEach((line, index) => {
      if (line.open || ghost(line, column.pane) || unseen(line.row, column.pane)) return;
      const size = L.sizeOf(model, state, column.pane, line.row);
      const { at: part, mark } = L.place(size, domain);
      const done = reached(column.pane)(line);
      if (mark) {
        const left = mark === "0";
        marks.append(s("text", { class: left ? "ink" : "alarm", x: left ? column.track - 6 : column.track + column.trackWidth + 8, y: y(index) + 4, "text-anchor": "end" }, mark));
      } else if (part !== undefined) {
        if (state.show === "gradient") for (const each of contributions(column.pane, line.row)) {
          const { at: there } = L.place(Number(each.norm), domain);
          if (there >= 0 && there <= 1) marks.append(contribution(each.side, column.track + there * column.trackWidth, y(index)));
        }
        marks.append(s("circle", { class: words("dot", !done && "ahead"), cx: x(size).toFixed(1), cy: y(index), r: density === "tiny" ? 2 : 3 }));
      }
    });
  }

  const contribution = (side, x, y) => side === "shortcut"
    ? s("path", { class: "dot shortcut", d: `M${x} ${y - 4.5}L${x + 4.5} ${y}L${x} ${y + 4.5}L${x - 4.5} ${y}Z` })
    : s("rect", { class: "dot branch", x: x - 3, y: y - 3, width: 6, height: 6 });

  function contributions(pane, row) {
    const turn = L.turn(model, pane, row);
    return turn === null ? [] : L.partsOf(model, turn, pane).filter((part) => part.side);
  }

  function axis(at, domain) {
    const marks = [];
    for (const column of at) {
      const sizes = decades(domain);
      const room = Math.max(1, Math.ceil((sizes.length * 40) / column.trackWidth));
      if (at.length > 1) marks.push(s("text", { class: "ink", x: column.left + 4, y: 14 }, model.panes[column.pane].name));
      marks.push(s("text", { x: column.track + column.trackWidth, y: at.length > 1 && column.labelWidth === 0 ? -40 : 14, "text-anchor": "end" }, at.length > 1 ? "" : L.MEASURES[state.show][0]));
      sizes.forEach((size, i) => {
        if (i % room) return;
        const x = column.track + L.place(size, domain).at * column.trackWidth;
        const text = domain.scale === "log" ? `10${L.superscript(Math.round(Math.log10(size)))}` : L.format(size, 2);
        marks.push(s("text", { x, y: 36, "text-anchor": "middle" }, text));
      });
    }
    byId("axis").replaceChildren(s("svg", { width: byId("tree").clientWidth, height: 44 }, marks));
  }

  // Keep the step in view, without moving what is in view already.
  function follow(current) {
    if (current < 0) return;
    const box = byId("scroll");
    const height = HEIGHTS[density];
    const top = current * height;
    if (top < box.scrollTop + height) box.scrollTop = Math.max(0, top - 2 * height);
    else if (top + 2 * height > box.scrollTop + box.clientHeight) box.scrollTop = top + 3 * height - box.clientHeight;
  }

  function fit() {
    const fits = (name) => all.length * HEIGHTS[name] <= byId("scroll").clientHeight;
    if (density) density = "";
    else {
      state = { ...state, open: [] };
      all = L.lines(model, state);
      density = fits("") ? "" : fits("small") ? "small" : "tiny";
    }
    render();
  }

  function legend() {
    const sample = (...marks) => s("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, marks);
    const item = (text, ...marks) => h("span", null, sample(...marks), text);
    byId("key").replaceChildren(
      item("shortcut", s("path", { class: "arc shortcut", d: "M0 5H22" }), contribution("shortcut", 25, 5)),
      item("branch", s("path", { class: "arc branch", d: "M0 5H22" }), contribution("branch", 26, 5)),
      item("all together", s("path", { class: "profile", d: "M0 5H30" }), s("circle", { class: "dot", cx: 15, cy: 5, r: 3 })),
      ...(state.cmp ? [item("the other network", s("path", { class: "profile other", d: "M0 5H30" })), item("no shortcut there", s("path", { class: "arc absent", d: "M2 5H30" }))] : []),
    );
  }

  // ---- tables ----------------------------------------------------------------------------------

  function table(caption, heads, rows, foot, name) {
    const row = (cells, tag) => h("tr", null, cells.map((cell, i) => h(i ? tag : "th", i ? null : { scope: "row" }, cell)));
    return h("table", { class: name }, h("caption", { class: "visually-hidden" }, caption),
      h("thead", null, h("tr", null, heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, rows.map((cells) => row(cells, "td"))), foot && h("tfoot", null, row(foot, "td")));
  }

  const boxed = (label, content) => h("div", { class: "wide", role: "region", tabindex: "0", "aria-label": label }, content);

  // A table that is built when it is opened.
  function twinTable(label, build) {
    const details = h("details", null, h("summary", null, label));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(boxed(label, build()));
    });
    return details;
  }

  function roadTable() {
    const details = byId("road-table");
    while (details.children.length > 1) details.lastChild.remove();
    if (!details.open) return;
    const panes = L.shown(model, state);
    const heads = ["step", ...panes.flatMap((pane) => [
      panes.length > 1 ? model.panes[pane].name : L.MEASURES[state.show][0], "shortcut", "branch"])];
    const shareOf = (pane, row, side) => {
      if (unseen(row, pane)) return "";
      const parts = contributions(pane, row).filter((part) => part.side === side && part.share !== undefined);
      return parts.length ? L.share(parts.reduce((sum, part) => sum + Number(part.share), 0)) : "";
    };
    const rows = all.map((line) => [line.label, ...panes.flatMap((pane) => [
      ghost(line, pane) ? "not here" : numberAt(line, pane), shareOf(pane, line.row, "shortcut"), shareOf(pane, line.row, "branch")])]);
    details.append(boxed("The road as a table", table(`${L.MEASURES[state.show][0]} and signed shares at forks`, heads, rows)));
  }

  // ---- the step --------------------------------------------------------------------------------

  function stepView() {
    const section = byId("step");
    if (!model.ticks.length) {
      return section.replaceChildren(h("h2", { id: "step-title" }, "Nothing to step through"),
        h("p", { class: "empty" }, "No op ran inside the with-block. Run the model, and loss.backward(), inside of it."));
    }
    const tick = model.ticks[state.step];
    const stop = L.stops(model, state, state.step);
    const panes = L.shown(model, state);
    return section.replaceChildren(
      h("h2", { id: "step-title" }, L.nameOf(model, state.step)),
      h("p", { class: "row" }, h("span", { class: "tag" }, L.phase(model, state.step)), stop && h("span", { class: "tag" }, `stops here: ${stop}`)),
      h("div", { class: "panes" }, panes.map((pane) => h("div", null,
        panes.length > 1 && h("p", { class: "pane-name" }, model.panes[pane].name), paneStep(pane, tick)))));
  }

  function paneStep(pane, tick) {
    const step = L.stepOf(model, state.step, pane);
    if (!step) {
      const other = L.stepOf(model, state.step, 1 - pane);
      const join = other && other.op && other.op.join;
      return h("p", { class: "empty" }, join ? "There is no shortcut here: what leaves the last layer goes on by itself." : "This network has no such step.");
    }
    if (L.hidden(model, state, pane, state.step)) return h("p", { class: "empty" }, "Shown when you have answered.");
    return [step.kind === L.BACKWARD ? backwardStep(pane, step) : forwardStep(pane, step, tick), tensor(pane, step)];
  }

  const term = (name, value) => (value === null || value === undefined || value === "" ? [] : [h("dt", null, name), h("dd", null, value)]);
  const shape = (value) => (value.shape.length ? value.shape.join(" × ") : "one number");

  function pick(pane, value) {
    const key = `${pane}:${value}`;
    return h("button", { type: "button", class: "link", "aria-pressed": String(state.sel === key),
      onclick: () => change({ ...state, sel: state.sel === key ? null : key }) }, model.panes[pane].values[value].name);
  }

  function forwardStep(pane, step) {
    const { values } = model.panes[pane];
    const { op } = step;
    const given = op.inputs.filter(([, value, text]) => value !== null || text !== "None");
    return [
      h("p", { class: "where" }, h("strong", null, op.op), op.module ? ` in ${op.module}` : ""),
      op.vjp_of !== undefined && h("p", { class: "hint" }, "Run by the VJP of the backward step above."),
      op.untaped && h("p", { class: "hint" }, "Not on the tape: no gradient goes through here."),
      h("dl", null,
        given.map(([edge, value, text]) => term(edge, value === null ? text : [pick(pane, value), h("span", { class: "hint" }, ` ${shape(values[value])}`)])),
        term("gives", [pick(pane, op.output), h("span", { class: "hint" }, ` ${shape(values[op.output])}`)]),
        Object.entries(op.constants || {}).map(([key, value]) => term(key, value)),
        Object.entries(op.notes || {}).map(([key, value]) => term(key.replaceAll("_", " "), L.format(value))),
        costs(op)),
    ];
  }

  const costs = (step) => [
    term("source", step.source && h("code", null, step.source)), term("work", step.flops && L.amount(step.flops, "FLOP")),
    term("memory", step.bytes && `${L.amount(step.bytes, "B")} moved`), term("time", L.time(step.seconds)),
  ];

  const VERDICTS = {
    exact: ["exact", "bit-exact", "The contributions, added again in their order, are bit for bit the gradient that the engine used."],
    wrong: ["wrong", "does not add up", "The contributions, added again, are not the gradient that the engine used."],
    unseen: ["unseen", "not looked at", "select=... left this value out."],
    single: ["single", "one contribution", "A single use: what it sends is the gradient."],
  };

  function backwardStep(pane, step) {
    const { visit, op } = step;
    const [name, badge, why] = VERDICTS[visit.verdict];
    const parts = visit.parts || [];
    const { forward } = model.panes[pane];
    const own = forward.map((each, i) => [each, i]).filter(([each]) => each.vjp_of === model.ticks[state.step].steps[pane]);
    return [
      h("p", { class: "where" }, "Gradient ", op ? ["arrives at ", h("strong", null, op.op)] : "of a leaf: here it stays", op && op.module ? ` in ${op.module}` : ""),
      h("p", null, h("span", { class: `badge ${name}`, title: why }, badge)),
      parts.length > 1 && [h("h3", null, "What meets here"), addition(pane, visit)],
      visit.hooked && h("p", { class: "hint" }, "A hook of yours may have changed this gradient before it was sent on."),
      op && op.join && h("p", { class: "hint" }, "At the add the gradient is copied to both sides. At the fork, further back, what comes through them is summed."),
      visit.sent && [h("h3", null, "What its VJP sends on"), table("Contributions sent", ["to", "value", "norm"],
        visit.sent.map(([edge, value, norm]) => [edge, pick(pane, value), nothingYet(value, pane) ? "?" : L.format(norm)]))],
      own.length > 0 && [h("h3", null, "The VJP's own ops"), h("ol", null, own.map(([each]) => h("li", null, each.op, " ", h("span", { class: "hint" }, each.source))))],
      h("dl", null, costs({ ...visit, source: op && op.source })),
    ];
  }

  // What is sent on tells the norms that the learner predicts next.
  const nothingYet = (value, pane) => {
    const turn = model.turns[pane].get(value);
    return state.predict && turn !== undefined && turn > state.step;
  };

  // Bars that begin where the one before ended: the shares visibly add up to 1.
  function addition(pane, visit) {
    const { parts } = visit;
    const known = parts.every((part) => typeof part.share === "number");
    const value = model.panes[pane].values[visit.value];
    const total = visit.stats || value.gradient;
    const label = (part, i) => h("span", { class: part.side || "" }, L.partName(model, pane, part, i));
    const sum = known ? parts.reduce((a, part) => a + part.share, 0) : null;
    const content = [table("Contributions: norm, cosine with their sum, signed share of it", ["contribution", "norm", "cosine", "share"],
      parts.map((part, i) => [label(part, i), L.format(part.norm), part.cosine === undefined ? "–" : Number(part.cosine).toFixed(3).replace("-", "−"), L.share(part.share)]),
      ["together", total ? L.format(total[0]) : "–", "", known ? L.share(sum) : "–"], "parts")];
    if (!known) return [h("p", { class: "empty" }, "The gradient is zero or not finite here, so no part has a share of it."), ...content];
    return [sumPicture(parts), ...content, h("p", { class: "hint" }, "Share: ⟨part, sum⟩ / ⟨sum, sum⟩. Norms do not add up; shares do.")];
  }

  function sumPicture(parts) {
    const ends = [0];
    for (const part of parts) ends.push(ends[ends.length - 1] + part.share);
    const lo = Math.min(0, ...ends), hi = Math.max(1, ...ends);
    const width = 400, h0 = 24, x = (v) => 8 + ((v - lo) / (hi - lo)) * (width - 16);
    const height = (parts.length + 1) * h0 + 20;
    const marks = [0, 1].map((v) => s("path", { class: "grid strong", d: `M${x(v)} 0V${height - 18}` }));
    parts.forEach((part, i) => {
      const [a, b] = [x(Math.min(ends[i], ends[i + 1])), x(Math.max(ends[i], ends[i + 1]))];
      const y = i * h0 + 5;
      const wide = Math.max(1, b - a);
      if (part.side === "shortcut") {
        marks.push(s("rect", { class: "bar-shortcut", x: a, y, width: wide, height: 14 }));
        for (let at = a + 5; at < b - 1; at += 7) marks.push(s("path", { class: "hatch", d: `M${at} ${y + 12}L${Math.min(at + 4, b)} ${y + 2}` }));
      } else marks.push(s("rect", { class: part.side === "branch" ? "bar-branch" : "bar-other", x: a, y, width: wide, height: 14 }));
      marks.push(s("path", { class: "lead", d: `M${x(ends[i + 1])} ${y + 14}V${y + h0}` }));
      const after = b + 5 < width - 90;
      const text = `${L.sideName(part)} ${L.share(part.share)}${part.share < 0 ? " ←" : ""}`;
      marks.push(s("text", { x: after ? b + 5 : a > 100 ? a - 5 : 12, y: after || a > 100 ? y + 11 : y + 11, "text-anchor": !after && a > 100 ? "end" : "start", class: "ink tell" }, after || a > 100 ? text : ""));
    });
    const y = parts.length * h0 + 5;
    marks.push(s("rect", { class: "bar-total", x: x(0), y, width: x(1) - x(0), height: 14 }), s("text", { class: "ink", x: x(0) + 6, y: y + 11 }, "the gradient"));
    for (const v of [0, 1]) marks.push(s("text", { x: x(v), y: height - 3, "text-anchor": v ? "end" : "start" }, String(v)));
    return s("svg", { class: "sum", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Signed shares: ${parts.map((p) => `${L.sideName(p)} ${L.share(p.share)}`).join(", ")}; together 1` }, marks);
  }

  const STATISTICS = ["norm", "RMS", "mean", "std", "min", "max", "zeros", "below normal", "NaN", "infinite"];

  // The numbers and pictures of a value: the one that was picked, else the step's own.
  function tensor(pane, step) {
    const [sel, picked] = (state.sel || "").split(":");
    const index = state.sel && Number(sel) === pane ? Number(picked) : step.value;
    const value = model.panes[pane].values[index];
    const turn = model.turns[pane].get(index);
    const veiled = turn !== undefined && L.hidden(model, state, pane, turn);
    const gradient = veiled ? null : value.gradient;
    const cell = (stats, i) => {
      if (!stats) return "–";
      return i === 6 || i === 7 ? L.percent(Number(stats[i])) : L.format(stats[i]);
    };
    const sampled = (value.stats && value.stats[10]) || (gradient && gradient[10]);
    const missing = veiled ? "Its gradient is yours to predict."
      : !value.gradient && !backwardRan ? "Backward has not run inside the with-block: there is no gradient."
        : !value.gradient ? `No gradient reached it${value.tracked ? "" : ": it does not require one"}.` : "";
    return [
      h("h3", null, index === step.value ? "The tensor" : value.name),
      h("p", { class: "hint" }, `${value.kind}, ${shape(value)}, ${value.dtype}`, value.detached_from !== undefined ? `; detached from ${model.panes[pane].values[value.detached_from].name}: no gradient goes back there` : ""),
      value.stats || gradient ? table(`Statistics of ${value.name}`, ["", "value", "gradient"], STATISTICS.map((name, i) => [name, cell(value.stats, i), cell(gradient, i)])) : h("p", { class: "empty" }, "Not measured: select=... left it out."),
      missing && h("p", { class: "empty" }, missing),
      sampled > 0 && h("p", { class: "hint" }, `Norm, NaN and infinity counts are of all elements; the others of ${sampled} of them, evenly spaced.`),
      h("div", { class: "thumbs" }, thumbnail(value.picture, value, "value"), veiled ? null : thumbnail(value.gradient_picture, value, "gradient")),
    ];
  }

  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

  function colour(level, signed, dark) {
    if (level === -128) return dark ? [255, 134, 192] : [163, 0, 92];
    if (!signed) {
      const t = (Math.max(0, level) / 127) * 4, i = Math.min(3, Math.floor(t));
      return VIRIDIS[i].map((c, k) => c + (t - i) * (VIRIDIS[i + 1][k] - c));
    }
    const middle = dark ? [26, 30, 34] : [255, 255, 255];
    const end = level > 0 ? (dark ? [86, 168, 224] : [0, 94, 150]) : dark ? [240, 129, 61] : [190, 80, 0];
    return middle.map((c, k) => c + (Math.abs(level) / 127) * (end[k] - c));
  }

  function thumbnail(picture, value, what) {
    if (!picture) return null;
    const [rows, columns_, scale, pixels] = picture;
    const levels = Int8Array.from(atob(pixels), (c) => c.charCodeAt(0));
    const signed = levels.some((level) => level < 0 && level !== -128);
    const canvas = h("canvas", { width: columns_, height: rows, role: "img",
      "aria-label": `${what} of ${value.name}, ${rows} by ${columns_} pixels, largest magnitude ${L.format(scale)}` });
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns_, rows);
    levels.forEach((level, i) => image.data.set([...colour(level, signed, isDark()), 255], 4 * i));
    context.putImageData(image, 0, 0);
    const numbers = () => table(`${what} of ${value.name}`, ["", ...Array.from({ length: columns_ }, (_, i) => i)],
      Array.from({ length: rows }, (_, r) => [r, ...Array.from(levels.slice(r * columns_, (r + 1) * columns_), (level) => (level === -128 ? "NaN/∞" : L.format((level / 127) * scale, 2)))]));
    return h("figure", null, canvas, h("figcaption", null, h("strong", null, what), " ",
      signed ? `−${L.format(scale)} orange, +${L.format(scale)} blue` : `0 dark, ${L.format(scale)} bright`), twinTable("numbers", numbers));
  }

  // ---- figures ---------------------------------------------------------------------------------

  function figures() {
    const gains = byId("gains"), spectrum = byId("spectrum");
    const gainsHead = h("h2", { id: "gains-title" }, "From the loss to the stem");
    const spectrumHead = h("h2", { id: "spectrum-title" }, "By branches crossed");
    if (state.predict) {
      gains.replaceChildren(gainsHead, h("p", { class: "empty" }, "Hidden while you predict."));
      spectrum.replaceChildren(spectrumHead, h("p", { class: "empty" }, "Hidden while you predict."));
      return;
    }
    const panes = L.shown(model, state);
    const named = (pane, ...content) => h("div", null, panes.length > 1 && h("p", { class: "pane-name" }, model.panes[pane].name), content);
    const without = "Backward has not run inside the with-block: call loss.backward() before it ends.";
    gains.replaceChildren(gainsHead, h("p", { class: "hint" }, "What each block does to the gradient’s norm: filled grows, hollow shrinks."),
      h("div", { class: "panes" }, panes.map((pane) => named(pane, model.panes[pane].backward.length
        ? model.panes[pane].gains.length ? gainChart(pane, panes) : h("p", { class: "empty" }, "There is no block that the whole gradient passes through.")
        : h("p", { class: "empty" }, without)))));
    spectrum.replaceChildren(spectrumHead, h("p", { class: "hint" }, "The same gradient, split by how many residual branches its paths crossed."),
      h("div", { class: "panes" }, panes.map((pane) => named(pane, model.panes[pane].spectra.length
        ? model.panes[pane].spectra.map(spectrumChart)
        : h("p", { class: "empty" }, model.panes[pane].backward.length
          ? ["Not computed for this trace. Call ", h("code", null, "trace.path_spectrum()"), " before ", h("code", null, "trace.to_html(…)"), "."] : without)))));
  }

  const W = 420, LEFT = 44;

  function yAxis(domain, height, top) {
    const y = (size) => top + (1 - L.place(size, domain).at) * (height - top);
    const sizes = decades(domain);
    const room = Math.max(1, Math.ceil(sizes.length / 6));
    const marks = sizes.flatMap((size, i) => [
      s("path", { class: "grid", d: `M${LEFT} ${y(size)}H${W}` }),
      i % room ? null : s("text", { x: LEFT - 6, y: y(size) + 4, "text-anchor": "end" }, domain.scale === "log" ? `10${L.superscript(Math.round(Math.log10(size)))}` : L.format(size, 2)),
    ]);
    return [y, marks.filter(Boolean)];
  }

  function logDomain(sizes) {
    const good = sizes.map(Number).filter((x) => x > 0 && Number.isFinite(x));
    if (!good.length) return { scale: "log", lo: 1e-3, hi: 1 };
    const low = Math.floor(Math.log10(Math.min(...good)) + 1e-9), high = Math.ceil(Math.log10(Math.max(...good)) - 1e-9);
    return { scale: "log", lo: 10 ** low, hi: 10 ** Math.max(high, low + 1) };
  }

  function gainChart(pane, panes) {
    const { gains } = model.panes[pane];
    const domain = logDomain(panes.flatMap((each) => model.panes[each].gains.flatMap((gain) => [gain[3], gain[4]])));
    const height = 170;
    const [y, marks] = yAxis(domain, height, 8);
    const wide = (W - LEFT) / gains.length;
    const bar = Math.max(1.5, Math.min(18, wide * 0.62));
    const tick = model.ticks[state.step];
    const here = tick && tick.row !== null ? model.groups[model.rows[tick.row].group][0] : "";
    let stage = "", end = -Infinity;
    gains.forEach(([block, output, , before, after], i) => {
      const x = LEFT + (i + 0.5) * wide;
      const row = valueRow(pane, output);
      const ends = [before, after].map((size) => L.place(Number(size), domain));
      const tops = ends.map(({ at, mark }, k) => (at !== undefined ? y([before, after][k]) : mark === "0" ? height + 8 : 8));
      if (block === here) marks.push(s("rect", { class: "current", x: x - wide / 2, y: 0, width: wide, height: height + 12 }));
      if (i && gains[i - 1]) marks.push(s("path", { class: "step", d: `M${x - wide + bar / 2} ${tops[0]}H${x - bar / 2}` }));
      marks.push(s("rect", { class: Number(after) > Number(before) ? "up" : "down", x: x - bar / 2, y: Math.min(...tops), width: bar, height: Math.max(1, Math.abs(tops[0] - tops[1])) }));
      if (ends[1].mark) marks.push(s("text", { class: ends[1].mark === "0" ? "ink" : "alarm", x, y: ends[1].mark === "0" ? height + 20 : 18, "text-anchor": "middle" }, ends[1].mark));
      const now = block.split(".")[0];
      if (now !== stage && x - end > 46) {
        marks.push(s("text", { x: x - bar / 2, y: height + 32 }, now));
        end = x;
      }
      stage = now;
      marks.push(s("rect", { class: "hit", x: x - wide / 2, y: 0, width: wide, height: height + 36, onclick: () => row !== undefined && change(L.row(model, state, row)) },
        s("title", null, `${block}: ${L.format(before)} → ${L.format(after)}`)));
    });
    const first = gains[0][3], last = gains[gains.length - 1][4];
    const rows = () => table("Gradient norm behind and before each block", ["block", "behind", "before", "gain"],
      gains.map(([block, , , before, after]) => [block, L.format(before), L.format(after), `× ${L.format(Number(after) / Number(before))}`]),
      ["all the way", L.format(first), L.format(last), `× ${L.format(Number(last) / Number(first))}`]);
    return [s("svg", { class: "chart", viewBox: `0 0 ${W} ${height + 38}`, role: "img", "aria-label": `Waterfall of the gradient norm from ${L.format(first)} at the loss to ${L.format(last)} at the stem; the table below has the numbers` }, marks),
      h("p", { class: "hint" }, `${L.format(first)} at the loss, ${L.format(last)} at the stem: × ${L.format(Number(last) / Number(first))}`), twinTable("The same as a table", rows)];
  }

  function spectrumChart({ at, norms, shares, total, paths }) {
    const known = shares.filter((each) => typeof each === "number");
    const lo = Math.min(0, ...known), hi = Math.max(0.1, ...known);
    const domain = { scale: "lin", lo, hi };
    const height = 120, n = norms.length, wide = (W - LEFT) / n, bar = Math.min(18, wide * 0.62);
    const x = (k) => LEFT + (k + 0.5) * wide;
    const [y, marks] = yAxis(domain, height, 8);
    marks.push(s("path", { class: "grid strong", d: `M${LEFT} ${y(0)}H${W}` }));
    shares.forEach((each, k) => {
      if (typeof each === "number") marks.push(s("rect", { class: words("share", each < 0 && "less"), x: x(k) - bar / 2, y: Math.min(y(0), y(each)), width: bar, height: Math.max(0.8, Math.abs(y(0) - y(each))) }, s("title", null, `${k} branches: ${L.share(each)}`)));
    });
    const room = Math.max(1, Math.ceil(n / 14));
    for (let k = 0; k < n; k += room) marks.push(s("text", { x: x(k), y: height + 18, "text-anchor": "middle" }, String(k)));
    const sizes = logDomain(norms);
    const [v, lower] = yAxis(sizes, 100, 8);
    let path = "", broken = true;
    norms.forEach((norm, k) => {
      const { at: part, mark } = L.place(Number(norm), sizes);
      if (part === undefined) {
        lower.push(s("text", { class: mark === "0" ? "ink" : "alarm", x: x(k), y: mark === "0" ? 114 : 10, "text-anchor": "middle" }, mark));
        broken = true;
        return;
      }
      path += `${broken ? "M" : "L"}${x(k)} ${v(norm)}`;
      broken = false;
      lower.push(s("circle", { class: "dot", cx: x(k), cy: v(norm), r: 2.6 }));
    });
    lower.push(s("path", { class: "profile", d: path }));
    const rows = () => table(`Path spectrum at ${at}`, ["branches", "paths", "norm", "share"], norms.map((norm, k) => [k, paths ? L.format(paths[k], 6) : "–", L.format(norm), L.share(shares[k])]), ["all", "", L.format(total), ""]);
    return h("figure", null,
      s("svg", { class: "chart", viewBox: `0 0 ${W} ${height + 24}`, role: "img", "aria-label": `Signed shares of the gradient at ${at} by branches crossed: ${shares.map((each, k) => `${k}: ${L.share(each)}`).join(", ")}` }, marks),
      s("svg", { class: "chart", viewBox: `0 0 ${W} 118`, role: "img", "aria-label": `Norms of the same parts; their table is below` }, lower),
      h("figcaption", null, `At ${at}. Above: signed share of each part, adding up to 1. Below: its norm.`), twinTable("The same as a table", rows));
  }

  // ---- predict, then reveal --------------------------------------------------------------------

  function quiz() {
    const section = byId("quiz");
    section.hidden = !state.predict;
    byId("predict").setAttribute("aria-pressed", String(state.predict));
    if (!state.predict) return;
    const asked = L.pending(model, state);
    const { right, asked: given } = L.score(model, state);
    const title = h("h2", { id: "quiz-title" }, given ? `Predicted: ${right} of ${given}` : "Predict, then reveal");
    let body;
    if (asked) {
      body = [h("p", { class: "prose" }, asked.text), h("div", { class: "choices" }, asked.options.map((text, i) =>
        h("button", { type: "button", onclick: () => reply(i) }, h("kbd", null, String(i + 1)), ` ${text}`)))];
    } else if (answered) {
      body = [h("p", { class: "prose", role: "status" }, h("strong", null, answered.right ? "Yes. " : "No. "), `${answered.told}.`),
        h("button", { type: "button", onclick: () => change(nextQuestion()) }, "Next question")];
    } else {
      body = [h("p", { class: "prose" }, backwardRan ? "Gradients are hidden until you have said what you expect of them." : "There is nothing to predict: backward has not run inside the with-block."),
        backwardRan && h("button", { type: "button", onclick: () => change(nextQuestion()) }, "Next question")];
    }
    section.replaceChildren(title, ...[body].flat().filter(Boolean));
  }

  function nextQuestion() {
    for (let i = state.step + 1; i < model.ticks.length; i++) {
      if (!(i in state.answers) && L.question(model, i)) return { ...state, step: i, sel: null };
    }
    return { ...state, step: model.ticks.length - 1 };
  }

  function reply(choice) {
    const asked = L.pending(model, state);
    const next = L.answer(model, state, choice);
    if (next === state) return;
    answered = { right: asked.answer === choice, told: asked.told };
    change(next);
  }

  // ---- dialogs ---------------------------------------------------------------------------------

  function ask(title, ...content) {
    const dialog = byId("dialog");
    dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...content.flat().filter(Boolean),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
    if (!dialog.open) dialog.showModal();
    const field = dialog.querySelector("input, select");
    if (field) field.focus();
  }

  const KEYS = [
    ["← →", "one step back or on (also , and .)"], ["↑ ↓", "the block above or below"], ["Shift ← →", "to where forward turns into backward"],
    ["Home End", "first and last step"], ["Enter", "open or close a block"], ["n p", "next and previous fork"], ["b", "breakpoint here, on or off"],
    ["[ ]", "previous and next breakpoint"], ["B", "conditions that stop"], ["g", "go to a step"], ["/", "search"], ["Space", "play or pause"],
    ["c", "one network or both"], ["q", "predict, then reveal; 1 2 3 answer"], ["f", "fit the road into its frame"], ["d", "light or dark"], ["?", "these keys"],
  ];
  const keyList = () => h("div", { class: "keys" }, KEYS.map(([keys, text]) =>
    [h("span", null, keys.split(" ").flatMap((key, i) => [i ? " " : "", h("kbd", null, key)])), h("span", null, text)]));

  function goTo() {
    const field = h("input", { type: "number", min: 1, max: model.ticks.length, value: state.step + 1, "aria-label": `Step, 1 to ${model.ticks.length}` });
    const go = () => {
      byId("dialog").close();
      if (field.value !== "") change(L.to(model, state, Number(field.value) - 1));
    };
    field.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), go()));
    ask("Go to step", h("div", { class: "row" }, field, h("span", { class: "hint" }, `of ${model.ticks.length}`), h("button", { type: "button", onclick: go }, "Go")));
  }

  function search() {
    const list = h("ul");
    const go = (index) => {
      byId("dialog").close();
      change(L.to(model, state, index));
    };
    const field = h("input", { type: "text", "aria-label": "Module, op, value or source line", placeholder: "module, op, value, file:line", spellcheck: "false" });
    field.addEventListener("input", () => {
      const found = L.search(model, state, field.value);
      list.replaceChildren(...(found.length ? found.map(({ index, text }) => h("li", null, h("button", { type: "button", class: "link", onclick: () => go(index) }, text)))
        : field.value.trim() ? [h("li", { class: "hint" }, "Nothing is called so.")] : []));
    });
    field.addEventListener("keydown", (event) => {
      const [first] = L.search(model, state, field.value, 1);
      if (event.key === "Enter" && first) { event.preventDefault(); go(first.index); }
    });
    ask("Search", h("div", { class: "row" }, field), h("div", { role: "status" }, list));
  }

  function breakpoints() {
    const kind = h("select", { "aria-label": "Stop when" }, [["norm", "gradient norm below"], ["share", "share above"], ["nan", "NaN or infinity"], ["fork", "at a fork"], ["module", "in a module"]]
      .map(([value, text]) => h("option", { value }, text)));
    const limit = h("input", { type: "text", "aria-label": "Bound", placeholder: "1e-4", size: 8 });
    const side = h("select", { "aria-label": "Whose share" }, ["any part", "shortcut", "branch"].map((text) => h("option", { value: text }, text)));
    const module = h("input", { type: "text", "aria-label": "Module", placeholder: "layer2.0", size: 14 });
    const wrong = h("p", { class: "hint", role: "alert" });
    const adapt = () => {
      limit.hidden = !["norm", "share"].includes(kind.value);
      limit.placeholder = kind.value === "share" ? "0.9" : "1e-4";
      side.hidden = kind.value !== "share";
      module.hidden = kind.value !== "module";
    };
    const add = () => {
      const made = L.condition({ kind: kind.value, limit: limit.value.trim(), side: side.value, text: module.value.trim() });
      if (!made) {
        wrong.textContent = kind.value === "module" ? "Say which module, such as layer2.0." : "Type a number, such as 1e-4 or 0.9.";
        return;
      }
      change({ ...state, when: [...state.when, made] });
      breakpoints();
    };
    kind.addEventListener("change", adapt);
    for (const field of [limit, module]) field.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), add()));
    adapt();
    const remove = (text, next) => h("li", { class: "row" }, h("span", null, text), h("button", { type: "button", "aria-label": `Remove: ${text}`, onclick: () => { change(next()); breakpoints(); } }, "Remove"));
    ask("Stop at", h("div", { class: "row" }, kind, side, limit, module, h("button", { type: "button", onclick: add }, "Add")), wrong,
      h("ul", null, state.when.map((each, i) => remove(L.told(each), () => ({ ...state, when: state.when.filter((_, k) => k !== i) }))),
        state.breaks.map((step) => remove(`step ${step + 1}: ${L.nameOf(model, step)}`, () => ({ ...state, breaks: state.breaks.filter((each) => each !== step) })))),
      h("p", { class: "hint" }, "[ and ] go from one to the next; playing stops there."));
  }

  // ---- theme, state, keys ----------------------------------------------------------------------

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => state.theme === "dark" || (state.theme === "auto" && prefersDark.matches);

  let saved = null;
  function remember() {
    const text = L.toHash(state);
    byId("state").value = text;
    clearTimeout(saved);
    saved = setTimeout(() => {
      try {
        if (location.hash !== text) history.replaceState(null, "", text);
        byId("state-hint").textContent = "The address of this page holds the step and all that is opened.";
      } catch {
        // A frame without an address of its own.
        byId("state-hint").textContent = "This frame has no address. Copy its state as text; typed in here, it is taken up again.";
      }
    }, 150);
  }

  const EFFECTS = {
    help: () => ask("Keys", keyList()), goto: goTo, search, breakpoints, fit,
    theme: () => change({ ...state, theme: isDark() ? "light" : "dark" }),
    "no-twin": () => ask("One trace only", h("p", { class: "prose" }, "This page holds one trace. Two stand side by side in the page of ", h("code", null, "trace.compare(other).to_html(…)"), ".")),
  };

  function act(key, shift) {
    if (state.predict && /^[1-9]$/.test(key)) { reply(Number(key) - 1); return true; }
    const [next, effect] = L.press(model, state, key, shift);
    if (next === null) return false;
    if (effect) EFFECTS[effect]();
    else change(next);
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("dialog").open) return;
    const { target } = event;
    if (target.matches("input[type=text], input[type=number], select, textarea")) return;
    if (target.matches("button, summary, a") && [" ", "Enter"].includes(event.key)) return;
    if (target.matches(".wide") && event.key.startsWith("Arrow")) return;
    if (act(event.key, event.shiftKey)) event.preventDefault();
  });

  function beats() {
    if (state.playing && ticking === null) {
      ticking = setInterval(() => change(L.beat(model, state)), 300);
    } else if (!state.playing && ticking !== null) {
      clearInterval(ticking);
      ticking = null;
    }
  }

  function render() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    document.body.classList.toggle("two", state.cmp && model.panes.length > 1);
    byId("compare").setAttribute("aria-pressed", String(state.cmp));
    byId("show").value = state.show;
    byId("scale").value = state.scale;
    byId("unfold").textContent = state.open.length ? "Close all" : "Open all";
    strip();
    time();
    road();
    legend();
    quiz();
    stepView();
    figures();
    remember();
    beats();
  }

  const on = (id, event, action) => byId(id).addEventListener(event, action);
  on("scrub", "input", () => change(L.to(model, state, Number(byId("scrub").value))));
  on("play", "click", () => act(" "));
  on("predict", "click", () => act("q"));
  on("compare", "click", () => act("c"));
  on("theme", "click", () => act("d"));
  on("help", "click", () => act("?"));
  on("search", "click", () => act("/"));
  on("breakpoints", "click", () => act("B"));
  on("fit", "click", fit);
  on("unfold", "click", () => change({ ...state, open: state.open.length ? [] : model.groups.map((_, i) => `g${i}`) }));
  on("show", "change", () => change({ ...state, show: byId("show").value }));
  on("scale", "change", () => change({ ...state, scale: byId("scale").value }));
  on("road-table", "toggle", roadTable);
  on("copy", "click", () => {
    byId("state").select();
    if (navigator.clipboard) navigator.clipboard.writeText(byId("state").value).catch(() => {});
  });
  on("state", "change", () => change(L.fromHash(model, state, byId("state").value)));
  addEventListener("hashchange", () => location.hash !== L.toHash(state) && change(L.fromHash(model, L.start(model), location.hash)));
  prefersDark.addEventListener("change", render);
  new ResizeObserver(() => byId("tree").clientWidth && road()).observe(byId("scroll"));
  head();
  render();
})();
