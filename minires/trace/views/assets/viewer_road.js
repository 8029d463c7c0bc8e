"use strict";
// The road: a line for each op or closed block, arcs beside it, and the profile of a size along it.
const Road = (L, view) => {
  const HEIGHTS = { "": 30, small: 20, tiny: 13 };
  const { place } = Words;
  const tree = byId("tree"), box = byId("scroll");
  let all = [], density = "", built = "";
  let state = null;
  const height = () => HEIGHTS[density];
  const y = (index) => (index + 0.5) * height();
  const ghost = (line, pane) => L.rowIn(line, pane) === null;
  const sizeAt = (line, pane) => L.sizeOf(state, pane, L.rowIn(line, pane));
  const ofGradient = () => state.show.startsWith("gradient");

  function draw(now) {
    state = now;
    all = L.lines(state);
    const width = tree.clientWidth;
    const columns = across(width);
    const key = JSON.stringify([state.open, state.cmp, density, width]);
    if (key !== built) build(columns);
    built = key;
    const tick = L.ticks[state.step];
    const current = tick && tick.row !== null ? L.lineOf(all, tick.row) : -1;
    all.forEach((line, index) => {
      const element = tree.children[index];
      element.setAttribute("aria-selected", index === current);
      element.lastChild.textContent = said(line, columns);
      element.classList.toggle("ahead", ahead(line));
      columns.forEach(({ pane, digits }, at) => {
        if (digits) element.querySelector(`.number-${at}`).textContent = number(line, pane);
      });
    });
    if (current >= 0) tree.setAttribute("aria-activedescendant", `line-${all[current].id}`);
    picture(columns, current, width);
    follow(current);
    asTable();
  }

  // Where everything stands, for the width that there is. Both panes have axes of one length; where
  // it is narrow, only the first has names.
  function across(width) {
    const panes = L.shown(state);
    const narrow = width / panes.length < 330;
    const lanes = panes.map((pane) => Math.max(1, ...L.arcs(all, pane).map((arc) => arc.lane + 1)));
    // Many lanes lie close together, for the names need room.
    const most = narrow ? 36 : (0.14 * width) / panes.length;
    const lane = Math.min(narrow ? 6 : 10, ...lanes.map((each) => most / each));
    const gutters = lanes.map((each) => (narrow ? 21 : 28) + lane * each);
    const last = panes.length < 2 ? 0 : narrow ? gutters[1] + 92 : width / 2 - 7;
    return panes.map((pane, at) => {
      const left = at ? width - last : 0;
      const each = at ? last : width - last - (last && 14);
      const digits = each >= 400 ? 84 : 0;
      const room = each - Math.max(...gutters) - digits;
      const track = narrow && last ? 84 : Math.max(60, Math.min(320, room * (narrow ? 0.36 : 0.46)));
      return {
        pane, left, lane, digits, road: left + gutters[at] - 10, label: left + gutters[at] + 6,
        labelWidth: at && narrow ? 0 : each - gutters[at] - digits - track - 16, track: left + each - digits - track, length: track - 14, number: left + each - digits,
      };
    });
  }

  function build(columns) {
    tree.className = words("tree", density);
    columns.forEach((column, at) => {
      const { style } = tree;
      style.setProperty(`--label-${at}`, `${column.label}px`);
      style.setProperty(`--label-width-${at}`, `${column.labelWidth}px`);
      style.setProperty(`--number-${at}`, `${column.number}px`);
    });
    const lines = document.createDocumentFragment();
    for (const line of all) lines.append(element(line, columns));
    tree.replaceChildren(lines, svg("svg", { id: "drawing", "aria-hidden": "true" }));
  }

  // What a line shows; what it says stands in its last child.
  const cell = (name_, ...content) => h("div", { class: `cell ${name_}`, "aria-hidden": "true" }, content);

  function element(line, columns) {
    const cells = columns.map((column, at) => [
      column.labelWidth > 0 && cell(`label-${at} level-${line.level}`,
        line.holds && h("span", "caret", line.open ? "▾" : "▸"), name(line, column)),
      column.digits > 0 && cell(`number number-${at}`),
    ]);
    return h("div", {
      class: "line", id: `line-${line.id}`, role: "treeitem", "aria-level": line.level + 1,
      "aria-expanded": line.holds ? line.open : null, "aria-selected": "false",
      onclick: ({ target }) => view.change(target.className === "caret" ? L.toggle(state, line.id) : L.row(state, line.row)),
      ondblclick: () => line.holds && view.change(L.toggle(state, line.id)),
    }, cells, h("span", "visually-hidden"));
  }

  function name(line, { pane, labelWidth }) {
    if (ghost(line, pane)) {
      const other = L.panes[1 - pane].forward[L.rows[line.row].steps[1 - pane]];
      return h("span", "void", other.join && L.hasBlock(line.row, pane) ? "no shortcut here" : "not here");
    }
    return [line.where && h("span", words("name", line.holds && "fold"), h("bdi", "", line.where)), line.op && h("span", line.where ? "soft" : "", line.op),
      line.detail && labelWidth > 180 && h("span", "soft detail", line.detail)];
  }

  const ahead = (line) => {
    const tick = L.ticks[state.step];
    return tick && tick.kind === L.FORWARD && L.rows[line.first].ticks[0].every((i) => i > state.step);
  };

  // Whether the learner has yet to predict what would be shown here.
  function veiled(line, pane) {
    const turn = ofGradient() ? L.turn(state, pane, L.rowIn(line, pane)) : null;
    return turn !== null && L.hidden(state, turn);
  }

  function reached(line, pane) {
    const turn = ofGradient() ? L.turn(state, pane, L.rowIn(line, pane)) : null;
    return turn === null ? !ahead(line) : turn <= state.step;
  }

  function number(line, pane) {
    const size = sizeAt(line, pane);
    return size === null || line.open || veiled(line, pane) ? "" : Words.format(size);
  }

  function said(line, columns) {
    const sizes = columns.map(({ pane }) => {
      const size = ghost(line, pane) ? "no such step" : `${L.measured(state)} ${number(line, pane) || "not shown"}`;
      return columns.length > 1 ? `${L.panes[pane].name}: ${size}` : size;
    });
    return words(line.where, line.op, line.detail) + `; ${sizes.join("; ")}`;
  }

  function picture(columns, current, width) {
    const domain = L.domain(state);
    const marks = document.createDocumentFragment();
    for (const column of columns) {
      for (const [size] of Words.ticks(domain)) {
        marks.append(path("grid", `M${column.track + place(size, domain).at * column.length} 0V${all.length * height()}`));
      }
      road(marks, column, current);
    }
    for (const column of columns) profile(marks, column, columns, domain);
    const drawing = byId("drawing");
    drawing.setAttribute("width", width);
    drawing.setAttribute("height", all.length * height());
    drawing.replaceChildren(marks);
    axis(columns, domain, width);
  }

  function road(marks, { pane, road: x, lane }, current) {
    const arcs = L.arcs(all, pane);
    const around = arcs.filter((arc) => arc.side === "shortcut");
    for (const [from, to] of L.ways(all, pane)) {
      const branch = around.some((arc) => arc.start <= from && from < arc.end);
      marks.append(path(words("roadline", branch && "branch"), `M${x} ${y(from)}V${y(to)}`));
    }
    const bow = ({ start, end, lane: at }, kind) => {
      const far = x - 8 - (at + 1) * lane;
      const [from, to] = [y(start), y(end)];
      const bend = Math.min(height() * 0.5, (to - from) / 2);
      return path(words("arc", kind), `M${x} ${from}Q${far} ${from} ${far} ${from + bend}V${to - bend}Q${far} ${to} ${x} ${to}`);
    };
    if (state.cmp) for (const arc of L.arcs(all, 1 - pane)) {
      const has = around.some((own) => own.start === arc.start && own.end === arc.end);
      if (arc.side === "shortcut" && !has) marks.append(bow(arc, "absent"));
    }
    const end = L.ticks[state.step]?.kind === L.FORWARD ? "end" : "start";
    for (const arc of arcs) marks.append(bow(arc, words(arc.side, arc[end] === current && "now")));
    all.forEach((line, index) => node(marks, line, pane, x, y(index)));
  }

  // A square is a closed block, a plus an addition.
  function node(marks, line, pane, x, at) {
    const row = L.rowIn(line, pane);
    const r = density === "tiny" ? 2.6 : 3.6;
    if (row === null) return void marks.append(circle("node absent", x, at, r));
    const kind = words("node", !ahead(line) && "done");
    if (line.holds && !line.open) marks.append(rect(kind, x - r - 1, at - r - 1, 2 * r + 2, 2 * r + 2));
    else if (!line.holds && L.panes[pane].forward[L.rows[row].steps[pane]].join) {
      marks.append(circle("node", x, at, r + 2), path("plus", `M${x - 3} ${at}h6M${x} ${at - 3}v6`));
    } else marks.append(circle(kind, x, at, line.open ? 2.4 : r));
    if (state.breaks.some((i) => all[L.lineOf(all, L.ticks[i].row)] === line)) marks.append(circle("stop", x + 8, at - 5, 3));
  }

  function profile(marks, { pane, track, length }, columns, domain) {
    const x = (at) => (track + at * length).toFixed(1);
    // The sizes as a line, broken where one is missing; open blocks are told by what is in them.
    const trail = (from, shows) => {
      let d = "", broken = true;
      all.forEach((line, index) => {
        if (line.open || ghost(line, from)) return;
        const { at } = place(sizeAt(line, from), domain);
        const drawn = at !== undefined && !veiled(line, from) && shows(line);
        if (drawn) d += `${broken ? "M" : "L"}${x(at)} ${y(index)}`;
        broken = !drawn;
      });
      return d;
    };
    // What met where the addition of this line had parted.
    const contributions = (line, from, index) => {
      const fork = L.forkOn(state, from, line);
      if (state.show !== "gradient" || fork === null || L.hidden(state, fork.index)) return;
      for (const part of fork.parts.filter(({ side }) => side)) {
        const { at } = place(part.norm, domain);
        if (at >= 0 && at <= 1) marks.append(contribution(words("dot", part.side, fork.index > state.step && "faint"), part.side, Number(x(at)), y(index)));
      }
    };
    for (const other of columns) if (other.pane !== pane) marks.append(path("profile other", trail(other.pane, () => true)));
    marks.append(path("profile faint", trail(pane, () => true)), path("profile", trail(pane, (line) => reached(line, pane))));
    all.forEach((line, index) => {
      if (line.open || ghost(line, pane)) return;
      contributions(line, pane, index);
      if (veiled(line, pane)) return;
      const { at, mark } = place(sizeAt(line, pane), domain);
      const zero = mark === "0";
      if (mark) marks.append(label(zero ? "ink" : "alarm", zero ? track - 5 : track + length + 10, y(index) + 4, "end", mark));
      if (at === undefined) return;
      const done = reached(line, pane);
      marks.append(circle(words("dot", !done && "hollow"), x(at), y(index), density === "tiny" ? 2 : 3));
    });
  }

  const contribution = (kind, side, x, at) => (side === "shortcut"
    ? path(kind, `M${x} ${at - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5Z`) : rect(kind, x - 3, at - 3, 6, 6));

  function axis(columns, domain, width) {
    const marks = columns.map((column) => {
      const sizes = Words.ticks(domain);
      const each = Math.ceil((sizes.length * 38) / column.length);
      const end = column.track + column.length, letters = Math.floor((end - column.left) / 7);
      const short = (text) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);
      return [
        columns.length > 1 ? label("ink", column.left + 4, 14, "start", short(L.panes[column.pane].name)) : label("", end, 14, "end", L.measured(state)),
        sizes.filter((_, i) => i % each === 0).map(([size, text]) => label("", column.track + place(size, domain).at * column.length, 36, "middle", text)),
      ];
    });
    byId("axis").replaceChildren(svg("svg", { width, height: 44 }, marks));
  }

  // Keep the step in view, without moving what is in view already.
  function follow(current) {
    const top = current * height();
    if (current < 0) return;
    if (top < box.scrollTop + height()) box.scrollTop = top - 2 * height();
    else if (top + 2 * height() > box.scrollTop + box.clientHeight) box.scrollTop = top + 3 * height() - box.clientHeight;
  }

  // The largest lines that all find room, blocks closed; and back.
  function fit() {
    const closed = L.lines({ ...state, open: [] }).length;
    const next = Object.keys(HEIGHTS).find((name_) => closed * HEIGHTS[name_] <= box.clientHeight) ?? "tiny";
    const open = density ? state.open : [];
    density = density ? "" : next;
    view.change({ ...state, open });
  }

  function asTable() {
    const details = byId("road-table");
    if (!details.open || !state) return;
    const panes = L.shown(state);
    const heads = panes.flatMap((pane) => [panes.length > 1 ? L.panes[pane].name : L.measured(state), ...L.forkHeads(pane)]);
    const rows = all.map((line) => [words(line.where, line.op), ...panes.flatMap((pane) =>
      [ghost(line, pane) ? "not here" : number(line, pane), ...L.forkCells(state, pane, line)])]);
    const caption = `${L.measured(state)}, and signed shares at forks`;
    redraw(byId("road-twin"), boxed(caption, "road", table(caption, ["step", ...heads], rows)));
  }

  byId("road-table").addEventListener("toggle", asTable);
  new ResizeObserver(() => state && tree.clientWidth && draw(state)).observe(box);
  return { draw, fit };
};
