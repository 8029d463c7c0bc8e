"use strict";
// The viewer's state machine. It knows the trace and what is looked at, and no document: every
// function takes a model (from `open`) and a state, and returns a new state or plain values.
const TraceLogic = (() => {
  const FORWARD = 0, BACKWARD = 1, INNER = 2;

  // ---- the model: the data, with what is looked up often --------------------------------------

  function open(data) {
    const ticks = data.ticks.map(([kind, row, ...steps]) => ({ kind, row, steps }));
    let last = data.rows.length ? 0 : null;
    const counts = [0, 0, 0];
    for (const tick of ticks) {
      if (tick.row === null) tick.row = last;
      last = tick.row;
      tick.number = ++counts[tick.kind];
    }
    const rows = data.rows.map((entry) => ({
      steps: entry.slice(0, -1), group: entry[entry.length - 1], ticks: [[], [], []],
    }));
    const turns = data.panes.map(() => new Map());
    ticks.forEach((tick, index) => {
      if (tick.row !== null) rows[tick.row].ticks[tick.kind].push(index);
      if (tick.kind !== BACKWARD) return;
      tick.steps.forEach((step, pane) => {
        if (step !== null) turns[pane].set(data.panes[pane].backward[step].value, index);
      });
    });
    return { data, ticks, rows, counts, turns, panes: data.panes, groups: data.groups };
  }

  function start(model) {
    return {
      step: Math.max(0, model.ticks.length - 1), sel: null, cmp: model.panes.length > 1,
      open: [], scale: "log", show: "gradient", theme: "auto", breaks: [], when: [],
      predict: false, answers: {}, playing: false,
    };
  }

  // Which panes are shown.
  const shown = (model, state) => (state.cmp ? model.panes.map((_, pane) => pane) : [0]);

  const visible = (model, state, index) =>
    shown(model, state).some((pane) => model.ticks[index].steps[pane] !== null);

  // What a tick is in one pane: the forward step or the backward step, and its value; or null.
  function stepOf(model, index, pane) {
    const tick = model.ticks[index];
    if (!tick || tick.steps[pane] === null || tick.steps[pane] === undefined) return null;
    const { forward, backward, values } = model.panes[pane];
    if (tick.kind === BACKWARD) {
      const visit = backward[tick.steps[pane]];
      const op = values[visit.value].op;
      return { kind: BACKWARD, visit, value: visit.value, op: op === undefined ? null : forward[op] };
    }
    const op = forward[tick.steps[pane]];
    return { kind: tick.kind, visit: null, value: op.output, op };
  }

  function statsOf(model, index, pane) {
    const step = stepOf(model, index, pane);
    if (!step) return null;
    const value = model.panes[pane].values[step.value];
    if (step.kind !== BACKWARD) return value.stats || null;
    return step.visit.stats || value.gradient || null;
  }

  const partsOf = (model, index, pane) => {
    const step = stepOf(model, index, pane);
    return (step && step.visit && step.visit.parts) || [];
  };

  const isFork = (model, state, index) =>
    shown(model, state).some((pane) => partsOf(model, index, pane).length > 1);

  // ---- lines: what the road shows, blocks closed or open ---------------------------------------

  // A line stands for rows first..last; the row it tells of is its last, the block's output.
  function lines(model, state) {
    const found = [];
    const panes = shown(model, state);
    const here = (row) => panes.some((pane) => model.rows[row].steps[pane] !== null);
    model.groups.forEach(([path, first, end], number) => {
      const rows = [];
      for (let row = first; row < end; row++) if (here(row)) rows.push(row);
      if (!rows.length) return;
      if (rows.length === 1) return void found.push(rowLine(model, rows[0], 0, path));
      const id = `g${number}`;
      const isOpen = state.open.includes(id);
      found.push({
        id, level: 0, first: rows[0], last: rows[rows.length - 1], row: rows[rows.length - 1],
        label: path, detail: `${rows.length} ops`, holds: true, open: isOpen,
      });
      if (isOpen) addRows(model, state, rows, 0, 1, path, found);
    });
    return found;
  }

  // Consecutive rows that spell out the same op lie under one line.
  function addRows(model, state, rows, depth, level, path, found) {
    for (let i = 0; i < rows.length; ) {
      const twin = twinOf(model, rows[i], depth);
      let j = i + 1;
      while (twin && j < rows.length && twinOf(model, rows[j], depth) === twin) j++;
      const part = rows.slice(i, j);
      if (!twin || part.length === 1) {
        found.push(rowLine(model, rows[i], level, path));
        i += 1;
        continue;
      }
      const id = `f${part[0]}.${depth}`;
      const isOpen = state.open.includes(id);
      const line = rowLine(model, part[0], level, path);
      found.push({
        id, level, first: part[0], last: part[part.length - 1], row: part[part.length - 1],
        label: `${line.where ? line.where + " " : ""}${twin.split("/").pop().split(":")[0]}`,
        detail: `spelled out in ${part.length} ops`, holds: true, open: isOpen,
      });
      if (isOpen) addRows(model, state, part, depth + 1, level + 1, path, found);
      i = j;
    }
  }

  function twinOf(model, row, depth) {
    const parts = (anyStep(model, row).twin_of || "").split("/").filter(Boolean);
    return depth < parts.length ? parts.slice(0, depth + 1).join("/") : "";
  }

  // The forward step of a row, in whichever pane has it.
  function anyStep(model, row) {
    const pane = model.rows[row].steps.findIndex((step) => step !== null);
    return model.panes[pane].forward[model.rows[row].steps[pane]];
  }

  function rowLine(model, row, level, path) {
    const step = anyStep(model, row);
    let where = step.module || "";
    if (level && where === path) where = "";
    else if (level && where.startsWith(path + ".")) where = where.slice(path.length + 1);
    const lastName = where.split(".").pop();
    return {
      id: `r${row}`, level, first: row, last: row, row, where,
      label: where && lastName !== step.op ? `${where} ${step.op}` : where || step.op,
      detail: "", holds: false, open: false,
    };
  }

  // The line that shows a row: the innermost that is not hidden in a closed one.
  function lineOf(all, row) {
    let best = -1;
    all.forEach((line, index) => {
      if (line.first <= row && row <= line.last && (best < 0 || line.level >= all[best].level)) {
        best = index;
      }
    });
    return best;
  }

  // Arcs between lines, each with the lowest lane that is free.
  function arcs(model, all, pane) {
    const seen = new Map();
    const lineAt = new Map();
    const at = (row) => {
      if (!lineAt.has(row)) lineAt.set(row, lineOf(all, row));
      return lineAt.get(row);
    };
    for (const [from, to, value, side] of model.data.arcs[pane]) {
      const start = at(from), end = at(to);
      if (start < 0 || end < 0 || start === end) continue;
      // Between neighbours the road itself is the line, except for what goes around a block.
      if (end === start + 1 && side !== "shortcut") continue;
      const key = `${start} ${end} ${side}`;
      if (!seen.has(key)) seen.set(key, { start, end, side, value, to });
    }
    const spans = [...seen.values()].sort((a, b) => a.end - a.start - (b.end - b.start) || a.start - b.start);
    const taken = [];
    for (const span of spans) {
      let lane = 0;
      while ((taken[lane] || []).some(([a, b]) => a < span.end && span.start < b)) lane++;
      (taken[lane] = taken[lane] || []).push([span.start, span.end]);
      span.lane = lane;
    }
    return spans;
  }

  // ---- sizes -----------------------------------------------------------------------------------

  const MEASURES = {
    gradient: ["gradient norm", "gradient", 0], "gradient-rms": ["gradient RMS", "gradient", 1],
    value: ["activation norm", "stats", 0], "value-rms": ["activation RMS", "stats", 1],
  };

  const number = (x) => (x === null || x === undefined ? null : Number(x));

  // What a row's output measures; null where nothing was measured.
  function sizeOf(model, state, pane, row) {
    const step = model.rows[row].steps[pane];
    if (step === null || step === undefined) return null;
    const { forward, values } = model.panes[pane];
    const [, kind, place] = MEASURES[state.show];
    const stats = values[forward[step].output][kind];
    if (!stats) return null;
    if (stats[8]) return NaN;
    return stats[9] ? Infinity : number(stats[place]);
  }

  // One scale for all panes, whole decades.
  function domain(model, state) {
    let lo = Infinity, hi = 0;
    model.panes.forEach((_, pane) => model.rows.forEach((_, row) => {
      const size = sizeOf(model, state, pane, row);
      if (size === null || !Number.isFinite(size) || size <= 0) return;
      lo = Math.min(lo, size);
      hi = Math.max(hi, size);
    }));
    if (!hi) return { scale: state.scale, lo: state.scale === "log" ? 1e-3 : 0, hi: 1 };
    if (state.scale !== "log") return { scale: "lin", lo: 0, hi };
    const low = Math.floor(Math.log10(lo) + 1e-9), high = Math.ceil(Math.log10(hi) - 1e-9);
    return { scale: "log", lo: 10 ** low, hi: 10 ** Math.max(high, low + 1) };
  }

  // Where a size lies: 0 to 1 along the axis, or a mark that stands outside of it.
  function place(size, { scale, lo, hi }) {
    if (size === null || size === undefined) return { mark: "" };
    if (Number.isNaN(size)) return { mark: "NaN" };
    if (!Number.isFinite(size)) return { mark: size > 0 ? "∞" : "−∞" };
    if (scale !== "log") return { at: (size - lo) / (hi - lo || 1) };
    if (size === 0) return { mark: "0" };
    return { at: Math.log10(size / lo) / Math.log10(hi / lo) };
  }

  // ---- words -----------------------------------------------------------------------------------

  const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const superscript = (n) => String(n).replace(/./g, (c) => SUPER[c] || c);

  function format(x, digits = 3) {
    if (x === null || x === undefined) return "–";
    const n = Number(x);
    if (Number.isNaN(n)) return "NaN";
    if (!Number.isFinite(n)) return n > 0 ? "∞" : "−∞";
    if (n === 0) return "0";
    const size = Math.abs(n);
    let text;
    if (size >= 1e-3 && size < 1e5) {
      text = n.toPrecision(digits);
      if (text.includes("e")) text = String(Math.round(n));
    } else {
      const [head, power] = n.toExponential(digits - 1).split("e");
      text = `${head}×10${superscript(Number(power))}`;
    }
    return text.replace("-", "−");
  }

  const percent = (x) => (x === null || x === undefined ? "–" : `${(100 * x).toFixed(1)} %`.replace("-", "−"));
  const share = (x) => (x === null || x === undefined ? "no gradient" : Number(x).toFixed(3).replace("-", "−"));

  function amount(x, unit) {
    if (!x) return "–";
    const binary = unit === "B";
    const base = binary ? 1024 : 1000;
    const names = binary ? ["B", "KiB", "MiB", "GiB"] : ["", "k", "M", "G", "T"];
    let i = 0;
    while (x >= base && i < names.length - 1) { x /= base; i++; }
    return `${i ? x.toPrecision(3) : x} ${names[i]}${binary ? "" : unit}`;
  }

  const time = (s) => (s === null || s === undefined ? "–"
    : s < 1e-3 ? `${format(s * 1e6)} µs` : s < 1 ? `${format(s * 1e3)} ms` : `${format(s)} s`);

  const phase = (model, index) => {
    const tick = model.ticks[index];
    const name = ["forward", "backward", "inside a VJP"][tick.kind];
    return `${name} ${tick.number} of ${model.counts[tick.kind]}`;
  };

  const sideName = (part) => part.side || part.edge;

  // The step in one sentence: what the live region says.
  function describe(model, state, index = state.step) {
    const tick = model.ticks[index];
    if (!tick) return "Nothing was recorded.";
    const told = shown(model, state).map((pane) => {
      const step = stepOf(model, index, pane);
      if (!step) return `${model.panes[pane].name}: no such step`;
      const head = state.cmp ? `${model.panes[pane].name}: ` : "";
      if (hidden(model, state, pane, index)) return `${head}what comes is yours to predict`;
      const stats = statsOf(model, index, pane);
      const what = tick.kind === BACKWARD ? "gradient norm" : "norm";
      const parts = partsOf(model, index, pane);
      const split = parts.length > 1
        ? `; ${parts.map((part) => `${sideName(part)} ${share(part.share)}`).join(", ")}` : "";
      return `${head}${what} ${stats ? format(stats[0]) : "not measured"}${split}`;
    });
    return `${phase(model, index)}, ${nameOf(model, index)}. ${told.join("; ")}`;
  }

  function nameOf(model, index) {
    const tick = model.ticks[index];
    const pane = tick.steps.findIndex((step) => step !== null);
    return model.panes[pane].values[stepOf(model, index, pane).value].name;
  }

  // ---- moving ----------------------------------------------------------------------------------

  const clamp = (model, index) => Math.max(0, Math.min(model.ticks.length - 1, Math.round(index)));

  function seek(model, state, from, by, fits) {
    for (let i = from + by; i >= 0 && i < model.ticks.length; i += by) if (fits(i)) return i;
    return null;
  }

  function to(model, state, index) {
    if (index === null || !model.ticks.length) return state;
    return { ...state, step: clamp(model, index), sel: null };
  }

  const step = (model, state, by) =>
    to(model, state, seek(model, state, state.step, by, (i) => visible(model, state, i)));

  // The first step of the neighbouring block, on the same way (forward or back).
  function block(model, state, by) {
    const tick = model.ticks[state.step];
    if (!tick || tick.row === null) return state;
    const wanted = tick.kind === FORWARD ? FORWARD : BACKWARD;
    let group = model.rows[tick.row].group;
    for (;;) {
      group += by;
      if (group < 0 || group >= model.groups.length) return state;
      const found = enter(model, state, group, wanted);
      if (found !== null) return to(model, state, found);
    }
  }

  function enter(model, state, group, kind) {
    const [, first, end] = model.groups[group];
    let best = null;
    for (let row = first; row < end; row++) {
      for (const index of model.rows[row].ticks[kind]) {
        if (visible(model, state, index) && (best === null || index < best)) best = index;
      }
    }
    return best;
  }

  // The end of this way, or the beginning of the next.
  function boundary(model, state, by) {
    const way = (i) => (model.ticks[i].kind === FORWARD ? FORWARD : BACKWARD);
    const here = model.ticks.length ? way(state.step) : FORWARD;
    const other = seek(model, state, state.step, by, (i) => visible(model, state, i) && way(i) !== here);
    const last = by > 0 ? model.ticks.length - 1 : 0;
    return to(model, state, other === null ? last : other);
  }

  const fork = (model, state, by) => to(model, state, seek(model, state, state.step, by,
    (i) => isFork(model, state, i)));

  // A row that was chosen: its step on the way that is being looked at.
  function row(model, state, number_) {
    const way = model.ticks[state.step] && model.ticks[state.step].kind === FORWARD ? [0, 1] : [1, 0];
    for (const kind of way) {
      const found = model.rows[number_].ticks[kind].filter((i) => visible(model, state, i));
      if (found.length) return to(model, state, found[0]);
    }
    return state;
  }

  function toggle(state, id) {
    const isOpen = state.open.includes(id);
    return { ...state, open: isOpen ? state.open.filter((each) => each !== id) : [...state.open, id] };
  }

  // Enter: open the line of this step, or close the one that it lies in.
  function expand(model, state) {
    const all = lines(model, state);
    const tick = model.ticks[state.step];
    if (!tick || tick.row === null) return state;
    let at = lineOf(all, tick.row);
    while (at >= 0 && !(all[at].holds && all[at].first <= tick.row && tick.row <= all[at].last)) at--;
    return at < 0 ? state : toggle(state, all[at].id);
  }

  // ---- breakpoints -----------------------------------------------------------------------------

  const toggleBreak = (state) => ({
    ...state,
    breaks: state.breaks.includes(state.step) ? state.breaks.filter((i) => i !== state.step)
      : [...state.breaks, state.step].sort((a, b) => a - b),
  });

  // The condition that a step meets, as words; null if none.
  function stops(model, state, index) {
    if (!visible(model, state, index)) return null;
    if (state.breaks.includes(index)) return "breakpoint";
    for (const condition of state.when) {
      if (shown(model, state).some((pane) => meets(model, index, pane, condition))) {
        return told(condition);
      }
    }
    return null;
  }

  function meets(model, index, pane, { kind, limit, side, text }) {
    const step = stepOf(model, index, pane);
    if (!step) return false;
    const stats = statsOf(model, index, pane);
    const parts = partsOf(model, index, pane);
    if (kind === "norm") return step.kind === BACKWARD && stats !== null && Number(stats[0]) < limit;
    if (kind === "nan") return stats !== null && stats[8] + stats[9] > 0;
    if (kind === "fork") return parts.length > 1;
    if (kind === "share") {
      return parts.length > 1 && parts.some((part) => (!side || part.side === side) && part.share > limit);
    }
    const module = step.op ? step.op.module || "" : model.panes[pane].values[step.value].name;
    return module === text || module.startsWith(text + ".");
  }

  function told({ kind, limit, side, text }) {
    return { norm: `gradient norm below ${limit}`, share: `share of ${side || "any part"} above ${limit}`,
      nan: "NaN or infinity", fork: "at a fork", module: `in ${text}` }[kind];
  }

  const nextStop = (model, state, by) => to(model, state, seek(model, state, state.step, by,
    (i) => stops(model, state, i) !== null));

  // ---- predict, then reveal --------------------------------------------------------------------

  // What is asked at a step: the larger share at a fork; elsewhere, on entering a block, whether
  // the gradient grew through the one that it left.
  function question(model, index) {
    const tick = model.ticks[index];
    if (!tick || tick.kind !== BACKWARD || tick.steps[0] === null) return null;
    const parts = partsOf(model, index, 0);
    if (parts.length > 1 && parts.every((part) => typeof part.share === "number")) {
      const shares = parts.map((part) => part.share);
      return {
        text: `At ${nameOf(model, index)} contributions meet. Which has the larger share?`,
        options: parts.map((part, i) => partName(model, 0, part, i)),
        answer: shares.indexOf(Math.max(...shares)),
        told: parts.map((part) => `${sideName(part)} ${share(part.share)}`).join(", "),
      };
    }
    const { values } = model.panes[0];
    const visit = stepOf(model, index, 0).visit;
    if (values[visit.value].op === undefined || tick.row === null) return null;
    const group = model.rows[tick.row].group;
    for (let i = index - 1; i >= 0; i--) {
      const before = model.ticks[i];
      if (before.kind !== BACKWARD || before.steps[0] === null) continue;
      const earlier = stepOf(model, i, 0);
      if (values[earlier.value].op === undefined) continue;
      const [a, b] = [i, index].map((j) => Number((statsOf(model, j, 0) || [NaN])[0]));
      if (model.rows[before.row].group === group || !(a >= 0 && b >= 0)) return null;
      return {
        text: `The gradient goes from ${nameOf(model, i)} to ${nameOf(model, index)}. Does its norm grow or shrink?`,
        options: ["it grows", "it shrinks"], answer: b > a ? 0 : 1,
        told: `${format(a)} before, ${format(b)} after`,
      };
    }
    return null;
  }

  function partName(model, pane, part, place_) {
    const { forward, values } = model.panes[pane];
    const by = part.consumer === undefined ? "where backward began"
      : values[forward[part.consumer].output].name;
    return part.side ? `${part.side} (${by})` : `${place_ + 1}: ${part.edge} of ${by}`;
  }

  const pending = (model, state) =>
    state.predict && !(state.step in state.answers) ? question(model, state.step) : null;

  function answer(model, state, choice) {
    const asked = pending(model, state);
    if (!asked || choice < 0 || choice >= asked.options.length) return state;
    return { ...state, answers: { ...state.answers, [state.step]: choice } };
  }

  function score(model, state) {
    const given = Object.entries(state.answers);
    const right = given.filter(([index, choice]) => question(model, Number(index)).answer === choice);
    return { right: right.length, asked: given.length };
  }

  // While the learner predicts, gradients that have not been reached are not shown.
  function hidden(model, state, pane, index) {
    if (!state.predict || model.ticks[index].kind !== BACKWARD) return false;
    return index > state.step || (index === state.step && pending(model, state) !== null);
  }

  // Where the gradient of a row's output is computed, and whether it may be seen.
  function turn(model, pane, row_) {
    const step_ = model.rows[row_].steps[pane];
    if (step_ === null || step_ === undefined) return null;
    const found = model.turns[pane].get(model.panes[pane].forward[step_].output);
    return found === undefined ? null : found;
  }

  // ---- keys ------------------------------------------------------------------------------------

  // What a key does: the new state, and what the page has to do besides.
  function press(model, state, key, shift = false) {
    const two = model.panes.length > 1;
    switch (key) {
      case "ArrowRight": return [shift ? boundary(model, state, 1) : step(model, state, 1), null];
      case "ArrowLeft": return [shift ? boundary(model, state, -1) : step(model, state, -1), null];
      case ".": return [step(model, state, 1), null];
      case ",": return [step(model, state, -1), null];
      case "ArrowDown": return [block(model, state, 1), null];
      case "ArrowUp": return [block(model, state, -1), null];
      case "Home": return [to(model, state, 0), null];
      case "End": return [to(model, state, model.ticks.length - 1), null];
      case "n": return [fork(model, state, 1), null];
      case "p": return [fork(model, state, -1), null];
      case "[": return [nextStop(model, state, -1), null];
      case "]": return [nextStop(model, state, 1), null];
      case "b": return [toggleBreak(state), null];
      case "B": return [state, "breakpoints"];
      case "c": return two ? [onVisible(model, { ...state, cmp: !state.cmp }), null] : [state, "no-twin"];
      case "d": return [state, "theme"];
      case "f": return [state, "fit"];
      case "g": return [state, "goto"];
      case "/": return [state, "search"];
      case "?": return [state, "help"];
      case " ": return [play(model, state), null];
      case "Enter": return [expand(model, state), null];
      case "q": return [{ ...state, predict: !state.predict, answers: {} }, null];
      default:
        if (/^[1-9]$/.test(key)) return [answer(model, state, Number(key) - 1), null];
        return [null, null];
    }
  }

  const onVisible = (model, state) =>
    !model.ticks.length || visible(model, state, state.step) ? state : step(model, state, -1);

  function play(model, state) {
    if (state.playing) return { ...state, playing: false };
    const atEnd = state.step >= model.ticks.length - 1;
    return { ...state, playing: model.ticks.length > 1, step: atEnd ? 0 : state.step };
  }

  // A step of playing: it ends at breakpoints, at a question and at the end.
  function beat(model, state) {
    if (pending(model, state)) return { ...state, playing: false };
    const next = step(model, state, 1);
    const ends = next === state || stops(model, next, next.step) !== null || pending(model, next) !== null;
    return ends ? { ...next, playing: false } : next;
  }

  function search(model, state, text, limit = 12) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const found = [];
    for (let i = 0; i < model.ticks.length && found.length < limit; i++) {
      if (!visible(model, state, i)) continue;
      const pane = model.ticks[i].steps.findIndex((each) => each !== null);
      const { op } = stepOf(model, i, pane);
      const name = nameOf(model, i);
      const about = `${name} ${op ? `${op.module || ""} ${op.op} ${op.source}` : ""}`.toLowerCase();
      if (about.includes(wanted)) found.push({ index: i, text: `${phase(model, i)}: ${name}` });
    }
    return found;
  }

  // ---- the state as text -----------------------------------------------------------------------

  function toHash(state) {
    const parts = ["v=1", `step=${state.step}`];
    if (state.sel) parts.push(`sel=${state.sel}`);
    parts.push(`cmp=${state.cmp ? 1 : 0}`);
    if (state.open.length) parts.push(`open=${state.open.join(",")}`);
    parts.push(`scale=${state.scale}`);
    if (state.show !== "gradient") parts.push(`show=${state.show}`);
    if (state.theme !== "auto") parts.push(`theme=${state.theme}`);
    if (state.breaks.length) parts.push(`bp=${state.breaks.join(",")}`);
    if (state.when.length) parts.push(`when=${encodeURIComponent(JSON.stringify(state.when))}`);
    return `#${parts.join("&")}`;
  }

  // What is missing, unknown or out of range is left as it is in `state`.
  function fromHash(model, state, text) {
    const given = new Map();
    for (const pair of text.replace(/^#/, "").split("&")) {
      const cut = pair.indexOf("=");
      if (cut > 0) given.set(pair.slice(0, cut), pair.slice(cut + 1));
    }
    if (given.get("v") !== "1") return state;
    const next = { ...state };
    const whole = (text_) => (/^\d+$/.test(text_ || "") ? Number(text_) : null);
    if (whole(given.get("step")) !== null && model.ticks.length) next.step = clamp(model, whole(given.get("step")));
    const sel = /^([01]):(\d+)$/.exec(given.get("sel") || "");
    next.sel = sel && model.panes[sel[1]] && model.panes[sel[1]].values[sel[2]] ? sel[0] : null;
    if (given.has("cmp")) next.cmp = given.get("cmp") === "1" && model.panes.length > 1;
    next.open = (given.get("open") || "").split(",").filter((id) => /^(g\d+|f\d+\.\d+)$/.test(id));
    if (["log", "lin"].includes(given.get("scale"))) next.scale = given.get("scale");
    if (Object.hasOwn(MEASURES, given.get("show") || "gradient")) next.show = given.get("show") || "gradient";
    next.theme = ["light", "dark"].includes(given.get("theme")) ? given.get("theme") : "auto";
    next.breaks = (given.get("bp") || "").split(",").map(whole).filter((i) => i !== null && i < model.ticks.length);
    next.when = readConditions(given.get("when"));
    return onVisible(model, next);
  }

  function readConditions(text) {
    try {
      const read = JSON.parse(decodeURIComponent(text || "[]"));
      return Array.isArray(read) ? read.map(condition).filter(Boolean) : [];
    } catch {
      return [];
    }
  }

  // A condition from what was typed, or null if it makes no sense.
  function condition({ kind, limit, side, text } = {}) {
    const bound = Number(limit);
    if (kind === "nan" || kind === "fork") return { kind };
    if (kind === "norm") return bound > 0 && Number.isFinite(bound) ? { kind, limit: bound } : null;
    if (kind === "share") {
      if (limit === "" || !Number.isFinite(bound)) return null;
      return ["shortcut", "branch"].includes(side) ? { kind, limit: bound, side } : { kind, limit: bound };
    }
    return kind === "module" && text ? { kind, text: String(text) } : null;
  }

  return {
    FORWARD, BACKWARD, INNER, MEASURES, open, start, shown, visible, stepOf, statsOf, partsOf, isFork, lines,
    lineOf, arcs, sizeOf, domain, place, format, percent, share, amount, time, phase, describe, nameOf, to, step,
    block, boundary, fork, row, toggle, expand, toggleBreak, stops, told, nextStop, question, partName, sideName,
    pending, answer, score, hidden, turn, press, play, beat, search, toHash, fromHash, condition, superscript,
  };
})();
if (typeof module !== "undefined") module.exports = TraceLogic;
