"use strict";
// The viewer's state machine and its words, without a document; run by test_page.py.
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");

const assets = process.env.VIEWER_ASSETS;
const Words = require(path.join(assets, "viewer_words.js"));
const TraceLogic = require(path.join(assets, "viewer_logic.js"));
const traces = JSON.parse(fs.readFileSync(process.env.VIEWER_TRACES, "utf8"));
const copy = (data) => structuredClone(data);
const { single, twins, spelled, second, passes, half } = traces;
const empty = { panes: [{ name: "trace", values: [], forward: [], backward: [], forks: [] }], rows: [], groups: [], arcs: [[]], handed: [[]], ticks: [] };

const press = (L, state, ...keys) => keys.reduce((now, key) => L.press(now, key.replace("Shift+", ""), key.startsWith("Shift+"))[0], state);
const isBackward = (L, state) => L.ticks[state.step].kind === L.BACKWARD;

test("a new view looks at the last fork", () => {
  const L = TraceLogic(single);
  assert.equal(L.isFork(L.start(), L.start().step), true);
  assert.equal(press(L, L.start(), "n").step, L.start().step);
});

test("left and right, comma and point go one step", () => {
  const L = TraceLogic(single);
  const state = press(L, L.start(), "Home");
  assert.equal(state.step, 0);
  assert.equal(press(L, state, "ArrowLeft").step, 0);
  assert.equal(press(L, state, "ArrowRight", ".", "ArrowRight").step, 3);
  assert.equal(press(L, state, "ArrowRight", ".", "ArrowLeft", ",").step, 0);
  assert.equal(press(L, state, "End", "ArrowRight").step, L.ticks.length - 1);
});

test("up and down go by blocks, as they lie on the road, on the way that is being looked at", () => {
  const L = TraceLogic(single);
  const group = (state) => L.rows[L.ticks[state.step].row].group;
  for (const begin of ["Home", "End"]) {
    const state = begin === "Home" ? press(L, L.start(), "Home") : press(L, L.start(), "n");
    const down = press(L, state, "ArrowDown");
    assert.equal(group(down), group(state) + 1);
    assert.equal(isBackward(L, down), isBackward(L, state));
    assert.equal(group(press(L, down, "ArrowUp")), group(state));
  }
});

test("shift goes to where forward turns into backward", () => {
  const L = TraceLogic(single);
  const turned = press(L, L.start(), "Home", "Shift+ArrowRight");
  assert.equal(isBackward(L, turned), true);
  assert.equal(L.ticks[turned.step].number, 1);
  assert.equal(isBackward(L, press(L, turned, "ArrowLeft")), false);
  assert.equal(press(L, turned, "Shift+ArrowLeft").step, turned.step - 1);
  assert.equal(press(L, turned, "Shift+ArrowRight").step, L.ticks.length - 1);
});

test("n and p go by forks", () => {
  const L = TraceLogic(twins);
  let state = press(L, L.start(), "Home");
  const found = [];
  for (let next = press(L, state, "n"); next.step !== state.step; next = press(L, state, "n")) found.push((state = next).step);
  assert.equal(found.length, 3);
  assert.equal(press(L, state, "p").step, found[1]);
});

test("breakpoints are toggled and gone to", () => {
  const L = TraceLogic(single);
  let state = L.to(press(L, L.start(), "Home"), 7);
  state = press(L, state, "b", "Home");
  assert.deepEqual(state.breaks, [7]);
  assert.equal(press(L, state, "]").step, 7);
  assert.equal(press(L, state, "End", "[").step, 7);
  assert.deepEqual(press(L, state, "]", "b").breaks, []);
});

test("conditions stop where they hold", () => {
  const L = TraceLogic(twins);
  const hits = (text) => L.ticks.map((_, i) => i).filter((i) => L.stops({ ...L.start(), when: [text] }, i));
  assert.equal(hits("fork").length, 3);
  assert.equal(hits("nan").length, 0);
  assert.equal(hits("at:layer2.0").length, 2);
  assert.ok(hits("norm<1e9").length > 20);
  assert.equal(hits("norm<0").length, 0);
  const over = hits("share(shortcut)>0.3").length + hits("share(shortcut)<0.3").length;
  assert.equal(over, 3);
});

test("a condition on NaN finds what is not finite", () => {
  const broken = copy(single);
  broken.panes[0].values[broken.panes[0].forward[4].output].stats[8] = 3;
  const L = TraceLogic(broken);
  const state = { ...press(L, L.start(), "Home"), when: ["nan"] };
  assert.equal(L.ticks[press(L, state, "]").step].steps[0], 4);
});

test("conditions are read, and hold, as in the terminal", () => {
  const { read, refused, hits } = JSON.parse(fs.readFileSync(path.join(__dirname, "breakpoint_cases.json"), "utf8"));
  const { condition } = TraceLogic(single);
  for (const [text, limit] of read) assert.equal(condition(text).limit ?? null, limit === "inf" ? Infinity : limit === "-inf" ? -Infinity : limit, text);
  for (const text of refused) assert.equal(condition(text), null, text);
  for (const [name, text, steps] of hits) {
    const L = TraceLogic(traces.breakpoints[name]);
    const state = { ...L.start(), when: [text] };
    assert.deepEqual(L.ticks.map((_, i) => i).filter((i) => L.stops(state, i)), steps, `${name}, ${text}`);
  }
});

test("conditions that make no sense are refused", () => {
  const { condition } = TraceLogic(single);
  for (const text of ["", "norm", "norm<", "norm<x", "share(left)>1", "at:", "at: ", "nan!"]) assert.equal(condition(text), null, text);
  for (const text of ["norm<1e-4", "norm > 10", "share(branch)>0.5", "nan", "fork", "at:layer1"]) assert.equal(condition(text).text, text);
});

test("blocks are one line until they are opened", () => {
  const L = TraceLogic(single);
  const state = L.start();
  const closed = L.lines(state);
  assert.ok(closed.some((line) => line.where === "layer2.0" && line.holds));
  assert.ok(!closed.some((line) => line.where === "layer2.0.conv1"));
  const inside = L.lines(press(L, L.to(state, L.search(state, "layer2.0.conv1")[0].index), "Enter"));
  assert.equal(inside.length, closed.length + closed.find((line) => line.where === "layer2.0").last - closed.find((line) => line.where === "layer2.0").first + 1);
  assert.ok(inside.some((line) => line.where === "conv1" && line.level === 1));
});

test("enter closes what it opened", () => {
  const L = TraceLogic(single);
  const state = L.to(L.start(), L.search(L.start(), "layer2.0.conv1")[0].index);
  assert.deepEqual(press(L, state, "Enter", "Enter").open, []);
});

test("every shortcut is an arc, open or closed", () => {
  const L = TraceLogic(twins);
  const shortcuts = (state, pane) => L.arcs(L.lines(state), pane).filter((arc) => arc.side === "shortcut").length;
  assert.equal(shortcuts(L.start(), 0), 3);
  assert.equal(shortcuts(L.start(), 1), 0);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  assert.ok(shortcuts(open, 0) >= 3);
});

test("arcs that overlap lie in different lanes", () => {
  const L = TraceLogic(twins);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  const arcs = L.arcs(L.lines(open), 0);
  for (const a of arcs) for (const b of arcs) {
    if (a !== b && a.lane === b.lane) assert.ok(a.end <= b.start || b.end <= a.start);
  }
});

test("uses of one value share a lane, and shortcuts have one of their own", () => {
  const [dense, segmenter] = [traces.architectures.dense, traces.architectures.segmenter].map((data) => {
    const L = TraceLogic(data);
    return L.arcs(L.lines(L.start()), 0);
  });
  const lanesOf = (arcs, start) => arcs.filter((arc) => arc.start === start).map((arc) => arc.lane);
  const several = dense.filter((arc) => lanesOf(dense, arc.start).length > 1);
  assert.ok(several.length > 3);
  for (const { start, lane } of several) assert.ok(lanesOf(dense, start).every((each) => each === lane));
  const twice = segmenter.find((arc) => lanesOf(segmenter, arc.start).length > 1);
  assert.equal(new Set(lanesOf(segmenter, twice.start)).size, 2);
});

test("behind its projection a shortcut is one still", () => {
  const L = TraceLogic(traces.architectures.segmenter);
  const all = L.lines(L.start());
  const into = L.arcs(all, 0).filter((arc) => all[arc.end].op === "residual_add" || all[arc.end].where === "residual_add");
  const told = into.map((arc) => [all[arc.start].where, arc.side]).filter(([, side]) => side === "shortcut");
  assert.deepEqual(told, [["score2", "shortcut"], ["score1", "shortcut"]]);
});

test("the road joins neighbours of which the second uses what the first made, and no others", () => {
  for (const [name, data] of Object.entries(traces.architectures)) {
    const L = TraceLogic(data);
    const all = L.lines(L.start());
    assert.deepEqual(L.ways(all, 0), traces.ways[name]);
  }
  const L = TraceLogic(traces.architectures.inception);
  const all = L.lines(L.start());
  const joined = L.ways(all, 0).map((ends) => ends.map((index) => all[index].where).join(" "));
  assert.ok(joined.includes("inception3a.branch2.0 inception3a.branch2.1"));
  assert.ok(!joined.includes("inception3a.branch1 inception3a.branch2.0"));
});

test("the headings of open lines lie on the road", () => {
  const L = TraceLogic(single);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  const all = L.lines(open), ways = L.ways(all, 0);
  const heading = all.findIndex((line) => line.open);
  assert.ok(ways.some(([from, to]) => from === heading - 1 && to === heading));
  assert.ok(ways.some(([from, to]) => from === heading && to === heading + 1));
});

test("ops that spell out one op fold under one line", () => {
  const L = TraceLogic(spelled);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  const folds = L.lines(open).filter((line) => line.id.startsWith("f"));
  assert.ok(folds.length > 0);
  assert.equal(folds[0].op, "conv2d");
  const further = L.lines({ ...open, open: [...open.open, folds[0].id] });
  assert.ok(further.length > L.lines(open).length);
});

test("ops that a VJP ran stand under its backward step", () => {
  const L = TraceLogic(second);
  const inner = L.ticks.findIndex((tick) => tick.kind === L.INNER);
  assert.ok(inner > 0);
  const visit = L.ticks.slice(0, inner).findLast((tick) => tick.kind === L.BACKWARD);
  assert.equal(L.stepOf(inner, 0).op.vjp_of, visit.steps[0]);
  assert.equal(L.ticks[inner].row, visit.row);
  assert.match(L.describe(L.start(), inner), /inside a VJP/);
});

test("shares stand at the addition that their fork serves, and in its block when that is closed", () => {
  const L = TraceLogic(single);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  for (const state of [L.start(), open]) {
    const told = L.lines(state).filter((line) => L.forkOn(state, 0, line) !== null);
    assert.equal(told.length, 3);
    for (const line of told) {
      assert.ok(L.panes[0].forward[L.rows[line.row].steps[0]].module.startsWith("layer"));
      const { shortcut, branch } = L.forkOn(state, 0, line);
      assert.ok(Math.abs(shortcut + branch - 1) < 1e-5);
    }
  }
  for (const line of L.lines(open).filter((each) => L.forkOn(open, 0, each) !== null)) assert.equal(line.op, "residual_add");
});

// Residual, dense, with skips around blocks, with gates: as minires/trace/views/table.py has it.
for (const [name, data] of Object.entries(traces.architectures)) {
  test(`the lines of the page tell of the forks that the table tells of: ${name}`, () => {
    const L = TraceLogic(data);
    const last = L.to(L.start(), L.ticks.length - 1);
    const open = { ...last, open: L.groups.map((_, i) => `g${i}`) };
    [last, open].forEach((state, i) => {
      const told = L.lines(state).map((line) => [line, L.forkOn(state, 0, line)]).filter(([, fork]) => fork)
        .map(([{ first, last: end }, fork]) => [first, end, fork.shortcut ?? null, fork.branch ?? null, fork.parts.length]);
      assert.ok(told.length);
      assert.deepEqual(told, traces.tables[name][i]);
    });
  });
}

test("the sides of a line's fork are those that its addition sees", () => {
  const L = TraceLogic(traces.architectures.nested);
  const sides = L.lines(L.start()).map((line) => L.forkOn(L.start(), 0, line)).filter(Boolean).map((fork) => fork.parts.map((part) => part.side));
  assert.deepEqual(sides, [[null, "shortcut", "branch"], ["shortcut", "branch", "branch"]]);
});

test("without additions a table has room for the uses of a value", () => {
  const { dense, residual } = traces.architectures;
  const cells = (data) => {
    const L = TraceLogic(data);
    return [L.forkHeads(0), L.lines(L.start()).flatMap((line) => L.forkCells(L.start(), 0, line)).filter(Boolean)];
  };
  const [heads, uses] = cells(dense);
  assert.deepEqual(heads, ["uses"]);
  assert.ok(uses.length > 3 && uses.every((text) => /^\d uses$/.test(text)));
  const [sides, shares] = cells(residual);
  assert.deepEqual(sides, ["shortcut", "branch"]);
  assert.ok(shares.length === 6 && shares.every((text) => /^−?\d\.\d{3}$/.test(text)));
});

test("a share that is unknown, or to be predicted, is not told", () => {
  const unknown = copy(single);
  for (const fork of unknown.panes[0].forks) delete fork.shortcut;
  const L = TraceLogic(unknown);
  const told = L.lines(L.start()).map((line) => L.forkCells(L.start(), 0, line)[0]).filter(Boolean);
  assert.deepEqual(told, ["no share", "no share", "no share"]);
  const M = TraceLogic(single), asked = { ...press(M, M.start(), "q"), step: M.start().step };
  assert.equal(M.lines(asked).filter((line) => M.forkCells(asked, 0, line)[1]).length, 2);
});

test("each step is told of in the numbers of its own backward pass", () => {
  const L = TraceLogic(passes);
  const turns = L.ticks.map((_, i) => i).filter((i) => L.stepOf(i, 0).visit?.value === 0);
  assert.equal(turns.length, 2);
  const [first, second_] = turns.map((step) => L.to(L.start(), step));
  assert.equal(L.gradientOf(second_, 0, 0)[0], passes.panes[0].values[0].gradient[0]);
  assert.ok(Math.abs(L.gradientOf(first, 0, 0)[0] * 2 - L.gradientOf(second_, 0, 0)[0]) < 1e-5);
  assert.ok(Math.abs(L.sizeOf(first, 0, 0) * 2 - L.sizeOf(second_, 0, 0)) < 1e-5);
  assert.match(L.describe(first), /, pass 0,.*gradient norm/);
  assert.match(L.measured(second_), /gradient norm, pass 1/);
  assert.deepEqual(L.turn(first, 0, 0) < L.turn(second_, 0, 0), true);
  assert.deepEqual([first, second_].map((state) => L.isLast(state, 0, 0)), [false, true]);
  // Forward steps belong to the pass that follows; one scale holds both passes.
  assert.deepEqual(L.gradientOf(press(L, first, "Home"), 0, 0), L.gradientOf(first, 0, 0));
  assert.deepEqual(L.domain(first), L.domain(second_));
  assert.equal(TraceLogic(single).passName(0), "");
});

test("a network without backward says so where the other has its gradients", () => {
  const L = TraceLogic(half);
  const turn = L.ticks.findIndex((tick) => tick.kind === L.BACKWARD);
  assert.match(L.lacks(turn, 1), /backward has not run/);
  assert.match(L.describe(L.to(L.start(), turn)), /backward has not run inside the with-block/);
  assert.equal(TraceLogic(twins).lacks(0, 1), "no such step");
});

test("compare hides the second network and steps that only it has", () => {
  const L = TraceLogic(twins);
  const state = press(L, L.start(), "c");
  assert.equal(state.cmp, false);
  assert.deepEqual(L.shown(state), [0]);
  assert.equal(press(L, state, "c").cmp, true);
  assert.equal(TraceLogic(single).press(TraceLogic(single).start(), "c")[1], "alone");
});

test("a step that one network lacks is a ghost in it", () => {
  const L = TraceLogic(twins);
  const open = { ...L.start(), open: L.groups.map((_, i) => `g${i}`) };
  const add = L.lines(open).find((line) => line.op === "residual_add");
  assert.equal(L.rowIn(add, 1), null);
  assert.notEqual(L.rowIn(add, 0), null);
});

test("one scale holds the sizes of both networks", () => {
  const L = TraceLogic(twins);
  const state = L.start();
  const scale = L.domain(state);
  for (const pane of [0, 1]) L.rows.forEach((_, row) => {
    const { at } = Words.place(L.sizeOf(state, pane, row), scale);
    if (at !== undefined) assert.ok(at >= -1e-9 && at <= 1 + 1e-9);
  });
});

test("zero, NaN and infinity are marks, not places", () => {
  const scale = Words.domain([1e-3, 1, 0, NaN, Infinity]);
  assert.deepEqual(scale, { scale: "log", lo: 1e-3, hi: 1 });
  assert.deepEqual(Words.place(0, scale), { mark: "0" });
  assert.deepEqual(Words.place(NaN, scale), { mark: "NaN" });
  assert.deepEqual(Words.place(Infinity, scale), { mark: "∞" });
  assert.deepEqual(Words.place(null, scale), { mark: "" });
  assert.deepEqual(Words.place(0, Words.domain([2, 0], "lin")), { at: 0 });
  assert.deepEqual(Words.domain([0, 0]), { scale: "log", lo: 1e-3, hi: 1 });
});

test("the ends of the numbers that there are lie at the ends of the axis", () => {
  const scale = Words.domain([5e-324, 1.7e308]);
  assert.deepEqual([scale.lo, scale.hi].map((size) => Math.round(Math.log10(size))), [-307, 307]);
  assert.deepEqual([5e-324, 1.7e308].map((size) => Words.place(size, scale).at), [0, 1]);
  assert.ok(Words.ticks(scale).length <= 24);
  for (const sizes of [[5e-324], [1.7e308]]) {
    const { at } = Words.place(sizes[0], Words.domain(sizes));
    assert.ok(at >= 0 && at <= 1);
  }
});

test("numbers are said with three digits", () => {
  const said = { 0: "0", 0.02491: "0.0249", 12345.6: "12346", "-0.5": "−0.500", 1e-30: "1.00×10⁻³⁰", NaN: "NaN", Infinity: "∞", "-Infinity": "−∞" };
  for (const [number, text] of Object.entries(said)) assert.equal(Words.format(number), text);
  assert.equal(Words.format(null), "–");
  assert.equal(Words.share(null), "no share");
  assert.equal(Words.bytes(2048), "2.00 KiB");
  assert.equal(Words.flops(2_000_000), "2.00 MFLOP");
  assert.equal(Words.time(0.0000031), "3.10 µs");
});

test("a step is said in a sentence", () => {
  const L = TraceLogic(twins);
  assert.match(L.describe(L.start()), /^backward \d+ of \d+, .*: gradient norm .*; shortcut 0\.\d+, branch 0\.\d+; plain: gradient norm/);
  const nothing = TraceLogic(empty);
  assert.equal(nothing.describe(nothing.start()), "Nothing was recorded.");
});

test("every key is safe on a trace of nothing", () => {
  const L = TraceLogic(empty);
  for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "n", "p", "[", "]", "b", "c", " ", "Enter", "q", ",", "."]) {
    assert.doesNotThrow(() => L.press(L.start(), key), key);
    assert.doesNotThrow(() => L.press(L.start(), key, true), key);
  }
  assert.deepEqual(L.lines(L.start()), []);
});

test("a network that lacks a block lacks more than its shortcut", () => {
  const data = copy(twins);
  const [group, [, first, end]] = [...data.groups.entries()].find(([, each]) => each[2] - each[1] > 2);
  assert.equal(TraceLogic(data).hasBlock(first, 1), true);
  for (const row of data.rows.slice(first, end)) row[1] = null;
  const L = TraceLogic(data);
  assert.equal(L.rows[first].group, group);
  assert.equal(L.hasBlock(first, 1), false);
  assert.equal(L.hasBlock(first, 0), true);
});

test("a trace of which no step has a row is stepped through like any other", () => {
  const bare = { ...copy(single), rows: [], groups: [], arcs: [[]], handed: [[]] };
  for (const tick of bare.ticks) tick[1] = null;
  const L = TraceLogic(bare);
  L.ticks.forEach((_, i) => assert.doesNotThrow(() => [L.question(i), L.describe(L.start(), i), L.stops({ ...L.start(), when: ["at:layer1"] }, i)]));
  for (const key of ["ArrowUp", "ArrowDown", "n", "Enter", "q"]) assert.doesNotThrow(() => L.press(L.start(), key), key);
});

test("other keys are left to the browser", () => {
  const L = TraceLogic(single);
  for (const key of ["Tab", "a", "F5", "PageDown", "toString"]) assert.deepEqual(L.press(L.start(), key), [null, null]);
});

test("playing ends at breakpoints and at the end, and begins anew from there", () => {
  const L = TraceLogic(single);
  let state = { ...press(L, L.start(), "Home"), breaks: [3] };
  state = press(L, state, " ");
  for (let i = 0; i < 10 && state.playing; i++) state = L.beat(state);
  assert.equal(state.step, 3);
  state = press(L, { ...state, breaks: [] }, "End", " ");
  assert.equal(state.step, 0);
  while (state.playing) state = L.beat(state);
  assert.equal(state.step, L.ticks.length - 1);
});

test("the state survives its hash", () => {
  const L = TraceLogic(twins);
  const state = { ...L.start(), step: 11, sel: "1:4", cmp: true, open: ["g3", "f4.0"], scale: "lin", show: "value-rms", theme: "dark", breaks: [2, 9], when: ["norm<1e-4", "at:layer1"] };
  assert.deepEqual(L.fromHash(L.start(), L.toHash(state)), state);
});

test("a hash keeps each breakpoint once, conditions whole, and what was predicted", () => {
  const L = TraceLogic(single);
  assert.deepEqual(L.fromHash(L.start(), "#v=1&bp=9,1,1,1&open=g1,g1").breaks, [1, 9]);
  assert.deepEqual(L.fromHash(L.start(), "#v=1&bp=1&open=g1,g1").open, ["g1"]);
  const odd = { ...L.start(), when: ["at:a;b&c+d", "fork"] };
  assert.deepEqual(L.fromHash(L.start(), L.toHash(odd)).when, odd.when);
  const asked = press(L, L.start(), "q");
  const given = L.answer(L.to(asked, L.nextQuestion(asked)), 1);
  assert.deepEqual(L.fromHash(L.start(), L.toHash(given)), given);
  assert.deepEqual(L.score(L.fromHash(L.start(), `#v=1&predict=1&said=${given.step}:7,0:0,99999:1,x`)), { right: 0, asked: 0 });
});

test("a hash that makes no sense changes nothing", () => {
  const L = TraceLogic(single);
  for (const hash of ["", "#", "#v=2&step=3", "#step=3", "#nonsense", "#v=1&step=x&sel=9:9&cmp=1&open=__proto__,x&scale=cubic&show=toString&theme=pink&bp=a,99999999&when=%7B%5D&predict=maybe&said=1:1"]) {
    assert.deepEqual(L.fromHash(L.start(), hash), L.start(), hash);
  }
  assert.equal(L.fromHash(L.start(), "#v=1&step=99999999").step, L.ticks.length - 1);
});

test("search finds modules, ops and source lines", () => {
  const L = TraceLogic(single);
  assert.ok(L.search(L.start(), "LAYER2.0.conv1").length >= 2);
  assert.ok(L.search(L.start(), ".py:").length > 0);
  assert.deepEqual(L.search(L.start(), "   "), []);
  assert.deepEqual(L.search(L.start(), "no such thing"), []);
});

test("while the learner predicts, what comes is hidden", () => {
  const L = TraceLogic(single);
  const state = { ...press(L, L.start(), "q"), step: L.start().step };
  const asked = L.pending(state);
  assert.equal(asked.options.length, 2);
  assert.equal(L.hidden(state, state.step), true);
  assert.equal(L.hidden(state, state.step - 1), false);
  assert.equal(L.hidden(state, state.step + 1), true);
  assert.match(L.describe(state), /yours to predict/);
  const right = L.answer(state, asked.answer), wrong = L.answer(state, 1 - asked.answer);
  assert.equal(L.hidden(right, state.step), false);
  assert.deepEqual(L.score(right), { right: 1, asked: 1 });
  assert.deepEqual(L.score(wrong), { right: 0, asked: 1 });
  assert.equal(L.answer(state, 7), state);
  assert.deepEqual(press(L, right, "q").answers, {});
});

test("the larger share is the right answer at a fork, the ratio of norms elsewhere", () => {
  const L = TraceLogic(single);
  let asked = 0;
  L.ticks.forEach((_, i) => {
    const question = L.question(i);
    if (!question) return;
    asked += 1;
    const shares = L.partsOf(i, 0).map((part) => part.share);
    if (shares.length) assert.equal(shares[question.answer], Math.max(...shares));
    else assert.ok(["it grows", "it shrinks"].includes(question.options[question.answer]));
  });
  assert.ok(asked > 4);
});

test("questions are gone through once", () => {
  const L = TraceLogic(single);
  let state = { ...press(L, L.start(), "Home", "q") };
  let count = 0;
  for (let next = L.nextQuestion(state); next !== null; next = L.nextQuestion(state)) {
    state = L.answer(L.to(state, next), 0);
    count += 1;
  }
  assert.equal(L.score(state).asked, count);
  assert.ok(count > 4);
});
