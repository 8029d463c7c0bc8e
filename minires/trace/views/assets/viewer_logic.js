"use strict";
// The viewer's state machine. It knows the trace and what is looked at, and no document: every
// function takes a state, and returns a new one or plain values.
const TraceLogic = (data) => {
  const [words, roadOf] = typeof require === "undefined" ? [Words, Lines]
    : [require("./viewer_words.js"), require("./viewer_lines.js")];
  const { format, share } = words;
  const FORWARD = 0, BACKWARD = 1, INNER = 2;

  const { panes, groups } = data;
  const counts = [0, 0, 0];
  const rows = data.rows.map((entry) => ({
    steps: entry.slice(0, -1), group: entry[entry.length - 1], ticks: [[], [], []],
  }));
  // For each pane, by backward pass and value, the tick at which the value gets its gradient; and,
  // by pass and row, the fork that is told of there.
  const turns = panes.map(() => new Map());
  const met = panes.map(({ forks }) => new Map(forks.map((fork) => [`${fork.run || 0}:${fork.row}`, fork])));
  let before = rows.length ? 0 : null;
  const ticks = data.ticks.map(([kind, at, ...steps], index) => {
    const row = at === null ? before : at;
    before = row;
    if (row !== null) rows[row].ticks[kind].push(index);
    steps.forEach((step, pane) => {
      if (kind !== BACKWARD || step === null) return;
      const { run = 0, value } = panes[pane].backward[step];
      turns[pane].set(`${run}:${value}`, index);
    });
    return { kind, row, steps, number: ++counts[kind] };
  });
  const hasSides = data.arcs.some((arcs) => arcs.some(([, , , side]) => side));
  const model = { panes, groups, rows, ticks, differences: data.differences || [] };

  // The backward pass that each step belongs to: a step of the forward pass to the next one.
  const passes = ticks.map(({ kind, steps }) => {
    const pane = steps.findIndex((each) => each !== null);
    if (kind === FORWARD) return null;
    const { forward, backward } = panes[pane];
    return backward[kind === INNER ? forward[steps[pane]].vjp_of : steps[pane]].run || 0;
  });
  const runs = [...new Set(passes)].filter((run) => run !== null).sort((a, b) => a - b);
  for (let i = ticks.length - 1, next = runs.at(-1); i >= 0; i--) next = passes[i] = passes[i] ?? next;
  const passName = (index) => (runs.length > 1 ? `, pass ${passes[index]}` : "");

  // The tick at which a value gets its gradient, in the pass that is looked at; null if it gets none.
  const turnOf = (state, pane, value, run = passes[state.step]) => turns[pane].get(`${run}:${value}`) ?? null;

  // Of the last pass that reached a value there is a picture besides.
  const isLast = (state, pane, value) =>
    runs.findLast((run) => turnOf(state, pane, value, run) !== null) === passes[state.step];

  // At first the last fork is looked at, where most of the gradient can be seen: one of a shortcut
  // and its branch, if there is any.
  function start() {
    const met = ticks.map((_, index) => panes.flatMap((_, pane) => partsOf(index, pane)));
    const sided = met.findLastIndex((parts) => parts.some((part) => part.side));
    const fork = sided < 0 ? met.findLastIndex((parts) => parts.length) : sided;
    return {
      step: fork < 0 ? Math.max(0, ticks.length - 1) : fork, sel: null, cmp: panes.length > 1, open: [], scale: "log",
      show: "gradient", theme: "auto", breaks: [], when: [], predict: false, answers: {}, playing: false,
    };
  }

  // Which panes are shown.
  const shown = (state) => (state.cmp ? panes.map((_, pane) => pane) : [0]);

  const { lines, lineOf, arcs, ways, rowIn } = roadOf({ ...model, shown }, data.arcs, data.handed);

  const visible = (state, index) => index in ticks && shown(state).some((pane) => ticks[index].steps[pane] !== null);

  // What a tick is in one pane: the forward step or the backward step, and its value; or null.
  function stepOf(index, pane) {
    const tick = ticks[index];
    if (!tick || tick.steps[pane] === null) return null;
    const { forward, backward, values } = panes[pane];
    if (tick.kind === BACKWARD) {
      const visit = backward[tick.steps[pane]];
      const op = values[visit.value].op;
      return { kind: BACKWARD, visit, value: visit.value, op: op === undefined ? null : forward[op] };
    }
    const op = forward[tick.steps[pane]];
    return { kind: tick.kind, visit: null, value: op.output, op };
  }

  function statsOf(index, pane) {
    const step = stepOf(index, pane);
    if (!step) return null;
    const value = panes[pane].values[step.value];
    if (step.kind !== BACKWARD) return value.stats || null;
    return step.visit.stats || value.gradient || null;
  }

  const partsOf = (index, pane) => {
    const step = stepOf(index, pane);
    return (step && step.visit && step.visit.parts) || [];
  };

  const isFork = (state, index) => shown(state).some((pane) => partsOf(index, pane).length > 1);

  const MEASURES = {
    gradient: ["gradient norm", "gradient", 0], "gradient-rms": ["gradient RMS", "gradient", 1],
    value: ["activation norm", "stats", 0], "value-rms": ["activation RMS", "stats", 1],
  };

  // The summary of a value's gradient, in the pass that is looked at; null if there is none.
  function gradientOf(state, pane, value, run = passes[state.step]) {
    const index = turnOf(state, pane, value, run);
    return index === null ? null : statsOf(index, pane);
  }

  // What a row's output measures; null where nothing was measured.
  function sizeOf(state, pane, row, run = passes[state.step]) {
    const step = row === null ? null : rows[row].steps[pane];
    if (step === null) return null;
    const { forward, values } = panes[pane];
    const [, kind, place] = MEASURES[state.show];
    const { output } = forward[step];
    const stats = kind === "stats" ? values[output].stats : gradientOf(state, pane, output, run);
    if (!stats) return null;
    return stats[8] ? NaN : stats[9] ? Infinity : Number(stats[place]);
  }

  // One scale for all panes and passes.
  const domain = (state) => words.domain(panes.flatMap((_, pane) =>
    rows.flatMap((_, row) => (runs.length ? runs : [0]).map((run) => sizeOf(state, pane, row, run)))), state.scale);

  // What is measured, and in which backward pass, where there are several.
  const measured = (state) => MEASURES[state.show][0] + (state.show.startsWith("gradient") ? passName(state.step) : "");

  const phase = (index) => {
    const tick = ticks[index];
    const name = ["forward", "backward", "inside a VJP"][tick.kind];
    return `${name} ${tick.number} of ${counts[tick.kind]}${tick.kind === FORWARD ? "" : passName(index)}`;
  };

  // The fork that is told of on a line: that of its addition, of several that at the block's input,
  // else that of its output. With the tick at which it is met, each part on the side that the
  // addition sees it on, and what the sides brought together; null if there is none.
  function forkOn(state, pane, line) {
    if (line.open) return null;
    const output = rowIn(line, pane);
    let found = null;
    for (let row = line.first; row <= line.last; row++) {
      const fork = met[pane].get(`${passes[state.step]}:${row}`);
      if (fork && (fork.sides || row === output) && !(found?.value <= fork.value)) found = fork;
    }
    if (found === null) return null;
    const index = turnOf(state, pane, found.value);
    const parts = partsOf(index, pane).map((part, i) => ({ ...part, side: found.sides?.[i] }));
    return { ...found, index, parts };
  }

  // What a table has room for beside a line of this pane, and what it tells there of its fork.
  const forkHeads = (pane) => {
    const { forks } = panes[pane];
    return forks.some((fork) => fork.sides) ? ["shortcut", "branch"] : forks.length ? ["uses"] : [];
  };
  function forkCells(state, pane, line) {
    const heads = forkHeads(pane), fork = forkOn(state, pane, line);
    if (fork === null || hidden(state, fork.index)) return heads.map(() => "");
    return heads.map((head, i) => (fork.sides ? share(fork[head]) : i ? "" : `${fork.parts.length} uses`));
  }

  // Several parts may go to edges of one name.
  const sideName = (part, i) => part.side || `${i + 1} (${part.edge})`;
  const told = (parts) => parts.map((part, i) => `${sideName(part, i)} ${share(part.share)}`).join(", ");

  // Why a pane has nothing to show at a step of the other.
  const lacks = (index, pane) => (ticks[index].kind !== FORWARD && !panes[pane].backward.length
    ? "backward has not run inside the with-block" : "no such step");

  // Whether a pane has anything of a row's group; one row alone is no block.
  const hasBlock = (row, pane) => {
    const [, first, end] = groups[rows[row].group];
    return end - first === 1 || rows.slice(first, end).some((each) => each.steps[pane] !== null);
  };

  // The step in one sentence: what the live region says.
  function describe(state, index = state.step) {
    const tick = ticks[index];
    if (!tick) return "Nothing was recorded.";
    const said = shown(state).map((pane) => {
      const step = stepOf(index, pane);
      if (!step) return `${panes[pane].name}: ${lacks(index, pane)}`;
      const head = state.cmp ? `${panes[pane].name}: ` : "";
      if (hidden(state, index)) return `${head}what comes is yours to predict`;
      const stats = statsOf(index, pane);
      const what = tick.kind === BACKWARD ? "gradient norm" : "norm";
      const parts = partsOf(index, pane);
      const split = parts.length > 1
        ? `; ${told(parts)}` : "";
      return `${head}${what} ${stats ? format(stats[0]) : "not measured"}${split}`;
    });
    return `${phase(index)}, ${nameOf(index)}. ${said.join("; ")}`;
  }

  function nameOf(index) {
    const tick = ticks[index];
    const pane = tick.steps.findIndex((step) => step !== null);
    return panes[pane].values[stepOf(index, pane).value].name;
  }

  const clamp = (index) => Math.max(0, Math.min(ticks.length - 1, Math.round(index)));

  function seek(from, by, fits) {
    for (let i = from + by; i >= 0 && i < ticks.length; i += by) if (fits(i)) return i;
    return null;
  }

  // A state whose step is one of the panes that are shown: if need be, the nearest.
  function onVisible(state) {
    const fits = (i) => visible(state, i);
    if (!ticks.length || fits(state.step)) return state;
    return { ...state, step: seek(state.step, -1, fits) ?? seek(state.step, 1, fits) ?? state.step };
  }

  function to(state, index) {
    if (index === null || !ticks.length) return state;
    return onVisible({ ...state, step: clamp(index), sel: null });
  }

  const step = (state, by) => to(state, seek(state.step, by, (i) => visible(state, i)));

  // The first step of the neighbouring block, on the same way (forward or back).
  function block(state, by) {
    const tick = ticks[state.step];
    if (!tick || tick.row === null) return state;
    const wanted = tick.kind === FORWARD ? FORWARD : BACKWARD;
    let group = rows[tick.row].group;
    for (;;) {
      group += by;
      if (group < 0 || group >= groups.length) return state;
      const found = enter(state, group, wanted);
      if (found !== null) return to(state, found);
    }
  }

  function enter(state, group, kind) {
    const [, first, end] = groups[group];
    let best = null;
    for (let row = first; row < end; row++) {
      for (const index of rows[row].ticks[kind]) {
        if (visible(state, index) && (best === null || index < best)) best = index;
      }
    }
    return best;
  }

  // The end of this way, or the beginning of the next.
  function boundary(state, by) {
    const way = (i) => (ticks[i].kind === FORWARD ? FORWARD : BACKWARD);
    const here = ticks.length ? way(state.step) : FORWARD;
    const other = seek(state.step, by, (i) => visible(state, i) && way(i) !== here);
    const last = by > 0 ? ticks.length - 1 : 0;
    return to(state, other === null ? last : other);
  }

  const fork = (state, by) => to(state, seek(state.step, by, (i) => isFork(state, i)));

  // A row that was chosen: its step on the way that is being looked at.
  function row(state, at) {
    const way = ticks[state.step] && ticks[state.step].kind === FORWARD ? [0, 1] : [1, 0];
    for (const kind of way) {
      const found = rows[at].ticks[kind].filter((i) => visible(state, i));
      if (found.length) return to(state, found[0]);
    }
    return state;
  }

  const toggle = (state, id) =>
    ({ ...state, open: state.open.includes(id) ? state.open.filter((each) => each !== id) : [...state.open, id] });

  // Enter: open the line of this step, or close the one that it lies in.
  function expand(state) {
    const { row = null } = ticks[state.step] || {};
    const around = lines(state).filter((line) => line.holds && line.first <= row && row <= line.last);
    return row === null || !around.length ? state : toggle(state, around.at(-1).id);
  }

  function toggleBreak(state) {
    const others = state.breaks.filter((i) => i !== state.step);
    if (others.length === state.breaks.length && ticks.length) others.push(state.step);
    return { ...state, breaks: others.sort((a, b) => a - b) };
  }

  // What stops at a step: "breakpoint", or a condition that it meets; null if nothing does.
  function stops(state, index) {
    if (!visible(state, index)) return null;
    if (state.breaks.includes(index)) return "breakpoint";
    return state.when.find((text) => shown(state).some((pane) => meets(index, pane, condition(text)))) ?? null;
  }

  // A condition in the terminal's words: norm<1e-4, share(shortcut)>0.9, nan, fork, at:layer2.0.
  // It is read, and holds, as in minires/trace/breakpoints.py; both run one table of cases.
  function condition(text) {
    const plain = String(text).trim();
    if (plain === "nan" || plain === "fork") return { text: plain, kind: plain };
    if (/^at:\s*\S/.test(plain)) return { text: plain, kind: "at", at: plain.slice(3).trim() };
    const [, kind, side, sign, limit] = /^(norm|share\((shortcut|branch)\))\s*([<>])\s*(\S+)$/.exec(plain) || [];
    const bound = kind && numberIn(limit);
    return kind && !Number.isNaN(bound) ? { text: plain, kind: side ? "share" : "norm", side, sign, limit: bound } : null;
  }

  // A number as Python reads it: neither hexadecimal nor empty, and there is "inf".
  function numberIn(text) {
    const [, sign, size] = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)$/i.exec(text.replace(/(?<=\d)_(?=\d)/g, "")) || [];
    if (size === undefined) return NaN;
    return (sign === "-" ? -1 : 1) * (/^i/i.test(size) ? Infinity : Number(size));
  }

  function meets(index, pane, { kind, side, sign, limit, at }) {
    const step = stepOf(index, pane);
    if (!step) return false;
    const stats = statsOf(index, pane);
    const finite = stats === null || !(stats[8] || stats[9]);
    const over = (x) => (sign === "<" ? x < limit : x > limit);
    if (kind === "nan") return step.visit ? step.visit.broken === true : !finite;
    if (kind === "at") return panes[pane].values[step.value].name === at || enters(index, pane, at);
    if (!step.visit) return false;
    // What is not finite is compared with nothing: that is the condition "nan".
    if (kind === "norm") return stats !== null && finite && over(Number(stats[0]));
    const parts = partsOf(index, pane);
    if (kind === "fork") return parts.length > 1;
    // What the side brought, for each residual addition that parts here.
    const sums = new Map();
    for (const part of parts) for (const [name, join] of part.roles || []) {
      if (name === side && part.share !== undefined) sums.set(join, (sums.get(join) || 0) + Number(part.share));
    }
    return [...sums.values()].some(over);
  }

  function enters(index, pane, at) {
    const earlier = seek(index, -1, (i) => ticks[i].steps[pane] !== null);
    const isBack = (i) => ticks[i].kind === BACKWARD;
    return within(index, pane, at) && (earlier === null || isBack(earlier) !== isBack(index) || !within(earlier, pane, at));
  }

  function within(index, pane, at) {
    const { module = "" } = stepOf(index, pane).op || {};
    return module === at || module.startsWith(`${at}.`);
  }

  const nextStop = (state, by) => to(state, seek(state.step, by, (i) => stops(state, i) !== null));

  // What is asked at a step: the larger share at a fork; elsewhere, on entering a block, whether
  // the gradient grew through the one that it left.
  function question(index) {
    const tick = ticks[index];
    if (!tick || tick.kind !== BACKWARD || tick.steps[0] === null) return null;
    const parts = partsOf(index, 0);
    if (parts.length > 1 && parts.every((part) => typeof part.share === "number")) {
      const shares = parts.map((part) => part.share);
      return {
        text: `At ${nameOf(index)} contributions meet. Which has the larger share?`,
        options: parts.map((part) => `${part.side || part.edge}: ${consumer(0, part)}`),
        answer: shares.indexOf(Math.max(...shares)),
        told: told(parts),
      };
    }
    const ofOp = (i) => ticks[i].kind === BACKWARD && stepOf(i, 0)?.op;
    const from = seek(index, -1, ofOp);
    if (!ofOp(index) || from === null || tick.row === null || rows[ticks[from].row].group === rows[tick.row].group) return null;
    const [a, b] = [from, index].map((i) => Number((statsOf(i, 0) || [NaN])[0]));
    if (!(a >= 0 && b >= 0)) return null;
    return {
      text: `The gradient goes from ${nameOf(from)} to ${nameOf(index)}. Does its norm grow or shrink?`,
      options: ["it grows", "it shrinks"], answer: b > a ? 0 : 1, told: `${format(a)} before, ${format(b)} after`,
    };
  }

  function consumer(pane, part) {
    const { forward, values } = panes[pane];
    return part.consumer === undefined ? "where backward began" : values[forward[part.consumer].output].name;
  }

  const pending = (state) =>
    state.predict && !(state.step in state.answers) ? question(state.step) : null;

  function answer(state, choice) {
    const asked = pending(state);
    if (!asked || choice < 0 || choice >= asked.options.length) return state;
    return { ...state, answers: { ...state.answers, [state.step]: choice } };
  }

  function score(state) {
    const given = Object.entries(state.answers);
    const right = given.filter(([index, choice]) => question(Number(index)).answer === choice);
    return { right: right.length, asked: given.length };
  }

  // The next step on which a question has not been answered; null if there is none.
  const nextQuestion = (state) =>
    seek(state.step, 1, (i) => !(i in state.answers) && question(i) !== null);

  // While the learner predicts, gradients that have not been reached are not shown.
  const hidden = (state, index) => state.predict && ticks[index].kind === BACKWARD
    && (index > state.step || (index === state.step && pending(state) !== null));

  function veils(state, pane, value) {
    const index = turnOf(state, pane, value);
    return index !== null && hidden(state, index);
  }

  // The tick at which the gradient of a row's output is computed; null if it never is.
  function turn(state, pane, row) {
    const step = row === null ? null : rows[row].steps[pane];
    return step === null ? null : turnOf(state, pane, panes[pane].forward[step].output);
  }

  const MOVES = {
    ArrowRight: (state, shift) => (shift ? boundary : step)(state, 1),
    ArrowLeft: (state, shift) => (shift ? boundary : step)(state, -1),
    ".": (state) => step(state, 1), ",": (state) => step(state, -1),
    ArrowDown: (state) => block(state, 1), ArrowUp: (state) => block(state, -1),
    Home: (state) => to(state, 0), End: (state) => to(state, ticks.length - 1),
    n: (state) => fork(state, 1), p: (state) => fork(state, -1),
    "]": (state) => nextStop(state, 1), "[": (state) => nextStop(state, -1), b: toggleBreak,
    " ": play, Enter: expand, q: predict,
  };
  const EFFECTS = { B: "breakpoints", d: "theme", f: "fit", g: "goto", "/": "search", "?": "help" };

  // What a key does: the new state, and what the page has to do besides; null for other keys.
  function press(state, key, shift = false) {
    if (Object.hasOwn(MOVES, key)) return [MOVES[key](state, shift), null];
    if (Object.hasOwn(EFFECTS, key)) return [state, EFFECTS[key]];
    if (key !== "c") return [null, null];
    return panes.length > 1 ? [onVisible({ ...state, cmp: !state.cmp }), null] : [state, "alone"];
  }

  // Predicting begins where backward does: all that comes is hidden.
  function predict(state) {
    const first = ticks.findIndex((tick) => tick.kind === BACKWARD);
    return { ...to(state, state.predict || first < 0 ? null : first), predict: !state.predict, answers: {} };
  }

  function play(state) {
    if (state.playing) return { ...state, playing: false };
    const atEnd = state.step >= ticks.length - 1;
    return { ...state, playing: ticks.length > 1, step: atEnd ? 0 : state.step };
  }

  // A step of playing: it ends at breakpoints, at a question and at the end.
  function beat(state) {
    if (pending(state)) return { ...state, playing: false };
    const next = step(state, 1);
    const ends = next === state || stops(next, next.step) !== null || pending(next) !== null;
    return ends ? { ...next, playing: false } : next;
  }

  function search(state, text, limit = 12) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const found = [];
    for (let i = 0; i < ticks.length && found.length < limit; i++) {
      if (!visible(state, i)) continue;
      const pane = ticks[i].steps.findIndex((each) => each !== null);
      const { op } = stepOf(i, pane);
      const name = nameOf(i);
      const about = `${name} ${op ? `${op.module || ""} ${op.op} ${op.source}` : ""}`.toLowerCase();
      if (about.includes(wanted)) found.push({ index: i, text: `${phase(i)}: ${name}` });
    }
    return found;
  }

  function toHash(state) {
    const parts = ["v=1", `step=${state.step}`];
    if (state.sel) parts.push(`sel=${state.sel}`);
    parts.push(`cmp=${state.cmp ? 1 : 0}`);
    if (state.open.length) parts.push(`open=${state.open.join(",")}`);
    parts.push(`scale=${state.scale}`);
    if (state.show !== "gradient") parts.push(`show=${state.show}`);
    if (state.theme !== "auto") parts.push(`theme=${state.theme}`);
    if (state.breaks.length) parts.push(`bp=${state.breaks.join(",")}`);
    parts.push(...state.when.map((text) => `when=${encodeURIComponent(text)}`));
    if (state.predict) parts.push("predict=1");
    const said = Object.entries(state.answers).map(([index, choice]) => `${index}:${choice}`);
    if (said.length) parts.push(`said=${said.join(",")}`);
    return `#${parts.join("&")}`;
  }

  // What is missing, unknown or out of range is left as it is in `state`.
  function fromHash(state, text) {
    const given = new URLSearchParams(text.replace(/^#/, ""));
    if (given.get("v") !== "1") return state;
    const next = { ...state };
    const whole = (text_) => (/^\d+$/.test(text_ || "") ? Number(text_) : null);
    if (whole(given.get("step")) !== null && ticks.length) next.step = clamp(whole(given.get("step")));
    const sel = /^([01]):(\d+)$/.exec(given.get("sel") || "");
    next.sel = sel && panes[sel[1]] && panes[sel[1]].values[sel[2]] ? sel[0] : null;
    if (given.has("cmp")) next.cmp = given.get("cmp") === "1" && panes.length > 1;
    const list = (key) => [...new Set((given.get(key) || "").split(","))];
    next.open = list("open").filter((id) => /^(g\d+|f\d+\.\d+)$/.test(id));
    if (["log", "lin"].includes(given.get("scale"))) next.scale = given.get("scale");
    if (Object.hasOwn(MEASURES, given.get("show") || "gradient")) next.show = given.get("show") || "gradient";
    next.theme = ["light", "dark"].includes(given.get("theme")) ? given.get("theme") : "auto";
    const breaks = list("bp").map(whole).filter((i) => i !== null && i < ticks.length);
    next.breaks = [...new Set(breaks)].sort((a, b) => a - b);
    next.when = [...new Set(given.getAll("when").map((text_) => condition(text_)?.text))].filter(Boolean);
    next.predict = given.get("predict") === "1";
    const said = next.predict ? list("said").map((each) => each.split(":").map(whole)) : [];
    next.answers = Object.fromEntries(said.filter(([index, choice]) =>
      index !== null && choice !== null && choice < (question(index)?.options.length || 0)));
    return onVisible(next);
  }

  return {
    ...model, hasSides, FORWARD, BACKWARD, INNER, MEASURES, start, shown, stepOf, partsOf, isFork, lines,
    lineOf, arcs, ways, rowIn, sizeOf, gradientOf, isLast, forkOn, forkHeads, forkCells, measured, passName, lacks, hasBlock, domain, phase, describe, nameOf, to, row, toggle, stops, question, consumer,
    sideName, told, pending, answer, score, nextQuestion, hidden, veils, turn, press, beat, search, toHash, fromHash, condition,
  };
};
if (typeof module !== "undefined") module.exports = TraceLogic;
