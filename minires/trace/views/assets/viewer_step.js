"use strict";
// The inspector: what happens at a step, what meets at a fork, and the tensor's numbers and picture.
const Step = (L, view) => {
  const { format, share } = Words;
  let state = null;
  const hint = (...text) => h("p", "hint", text);
  const empty = (text) => h("p", "empty", text);
  // A path that may be broken where it has joints.
  const breaking = (text) => text.split(/(?<=[./])/).flatMap((piece) => [piece, h("wbr")]);
  const shape = (value) => (value.shape.length ? value.shape.join(" × ") : "one number");

  function draw(now) {
    state = now;
    const section = byId("step");
    if (!L.ticks.length) {
      return redraw(section, h("h2", { id: "step-title" }, "Nothing to step through"),
        empty("Run the model, and loss.backward(), inside the with-block."));
    }
    const stop = L.stops(state, state.step);
    return redraw(section,
      h("h2", { id: "step-title" }, breaking(L.nameOf(state.step))),
      h("p", "row", h("span", "tag", L.phase(state.step)), stop && h("span", "tag", `stops here: ${stop}`)),
      h("div", "panes", L.shown(state).map((pane) => h("div", "pane", h("p", "pane-name", L.panes[pane].name), inPane(pane)))));
  }

  function inPane(pane) {
    const step = L.stepOf(state.step, pane);
    if (!step) {
      const other = L.stepOf(state.step, 1 - pane);
      if (L.lacks(state.step, pane) !== "no such step") return empty("Backward has not run inside the with-block: there are no gradients.");
      return empty(other.op && other.op.join && L.hasBlock(L.ticks[state.step].row, pane) ? "There is no shortcut here: what leaves the last layer goes on alone." : "This network has no such step.");
    }
    if (L.hidden(state, state.step)) return empty("Shown when you have answered.");
    return [step.visit ? backward(pane, step) : forward(pane, step.op), tensor(pane, step.value)];
  }

  const opName = (op) => [h("strong", "", op.op), op.module && ` in ${op.module}`];
  const term = (name, ...value) => [h("dt", "", name), h("dd", "", value)];

  // A value that can be looked at; `from` tells where it stands, for one may stand in several places.
  function pick(pane, index, from) {
    const key = `${pane}:${index}`;
    const on = state.sel === key;
    return button(breaking(L.panes[pane].values[index].name), () => view.change({ ...state, sel: on ? null : key }), { class: "link", "aria-pressed": on, "data-id": `${key} ${from}` });
  }

  const costs = ({ source, flops, bytes, seconds }) => [
    source && term("source", h("code", "", source)), flops && term("work", Words.flops(flops)),
    bytes && term("moved", Words.bytes(bytes)), seconds !== undefined && term("time", Words.time(seconds)),
  ];

  function forward(pane, op) {
    const { values } = L.panes[pane];
    const named = (index, from) => [pick(pane, index, from), h("span", "hint", ` ${shape(values[index])}`)];
    return [
      h("p", "where", opName(op)),
      op.vjp_of !== undefined && hint("The VJP of a backward step ran it."),
      op.untaped && hint("Not on the tape: no gradient goes through here."),
      h("dl", "", op.inputs.filter(([, index, text]) => index !== null || text !== "None")
        .map(([edge, index, text]) => term(edge, index === null ? text : named(index, edge))),
      term("gives", named(op.output, "gives")),
      Object.entries(op.constants || {}).map(([key, text]) => term(key, text)),
      Object.entries(op.notes || {}).map(([key, x]) => term(key.replaceAll("_", " "), format(x))), costs(op)),
    ];
  }

  const VERDICTS = {
    exact: "bit-exact", wrong: "does not add up", unseen: "not looked at: select=… left it out", single: "one contribution",
  };

  function backward(pane, { visit, op }) {
    const own = L.panes[pane].forward.filter((each) => each.vjp_of === L.ticks[state.step].steps[pane]);
    const sent = (visit.sent || []).map(([edge, index, norm]) => [edge, pick(pane, index, edge), L.veils(state, pane, index) ? "?" : format(norm)]);
    return [
      h("p", "where", op ? ["Gradient arrives at ", opName(op)] : "Gradient of a leaf: here it stays."),
      h("p", "", h("span", `badge ${visit.verdict}`, VERDICTS[visit.verdict])),
      visit.parts && [h("h3", "", "What meets here"), addition(pane, visit)],
      visit.hooked && hint("A hook of yours may have changed this gradient before it was sent on."),
      op && op.join && hint("At the add: copied to both sides. At the fork, further back: summed."),
      sent.length > 0 && [h("h3", "", "What its VJP sends on"), table("Sent on", ["to", "value", "norm"], sent)],
      own.length > 0 && [h("h3", "", "The VJP’s own ops"), h("ol", "", own.map((each) => h("li", "", each.op, " ", h("code", "hint", each.source))))],
      h("dl", "", costs({ ...visit, source: op && op.source })),
    ];
  }

  function addition(pane, visit) {
    const { parts, verdict } = visit;
    const total = L.gradientOf(state, pane, visit.value);
    const known = parts.every((part) => typeof part.share === "number");
    const rows = parts.map((part, i) => [[h("span", part.side || "", L.sideName(part, i)), h("br"), h("span", "hint", breaking(L.consumer(pane, part)))], format(part.norm),
      part.cosine === undefined ? "–" : share(part.cosine), share(part.share)]);
    const sum = parts.reduce((so, part) => so + part.share, 0);
    return [
      known ? sumPicture(parts) : empty("The gradient is zero or not finite here, so that no part has a share of it."),
      table("Contributions", ["contribution", "norm", "cosine", "share"], rows, ["together", total ? format(total[0]) : "–", "", known ? share(sum) : "–"]),
      verdict === "exact" && hint("Added again in their order, they are bit for bit the engine’s gradient. Norms do not add up; the shares ⟨part, sum⟩ / ⟨sum, sum⟩ do."),
      verdict === "wrong" && hint("Added again in their order, they are not the engine’s gradient."),
    ];
  }

  // Bars that begin where the one before ended: the shares visibly add up to 1.
  function sumPicture(parts) {
    const ends = [0];
    for (const part of parts) ends.push(ends.at(-1) + part.share);
    const lo = Math.min(0, ...ends), hi = Math.max(1, ...ends);
    const x = (at) => 4 + ((at - lo) / (hi - lo)) * 392;
    const bottom = (parts.length + 1) * 34;
    const marks = [0, 1].map((at) => [path("strong", `M${x(at)} 0V${bottom}`), label("", x(at), bottom + 14, at ? "end" : "start", String(at))]);
    const bar = (name, text, i, from, to) => {
      const [a, b] = [x(from), x(to)].sort((p, q) => p - q), y = i * 34 + 17;
      marks.push(label("ink", a < 250 ? a + 3 : b - 3, y - 5, a < 250 ? "start" : "end", text), rect(`bar-${name}`, a, y, Math.max(1, b - a), 11));
      if (name === "shortcut") for (let at = a + 4; at < b - 4; at += 7) marks.push(path("hatch", `M${at} ${y + 9}l4 -7`));
      if (i < parts.length) marks.push(path("lead", `M${x(to)} ${y + 11}v23`));
    };
    parts.forEach((part, i) => bar(part.side || "other", `${L.sideName(part, i)} ${share(part.share)}`, i, ends[i], ends[i + 1]));
    bar("total", "their sum, the gradient", parts.length, 0, 1);
    return svg("svg", { class: "sum", viewBox: `0 0 400 ${bottom + 18}`, role: "img", "aria-label": `Signed shares: ${L.told(parts)}; together 1` }, marks);
  }

  const STATISTICS = ["norm", "RMS", "mean", "std", "min", "max", "zeros", "below normal", "NaN", "infinite"];

  // The numbers and pictures of a value: the one that was picked, else the step's own.
  function tensor(pane, own) {
    const [at, picked] = (state.sel || "").split(":");
    const index = state.sel && Number(at) === pane ? Number(picked) : own;
    const value = L.panes[pane].values[index];
    const veiled = L.veils(state, pane, index);
    const gradient = veiled ? null : L.gradientOf(state, pane, index);
    const cell = (stats, i) => (!stats ? "–" : i === 6 || i === 7 ? Words.percent(stats[i]) : format(stats[i]));
    const sampled = (value.stats && value.stats[10]) || (gradient && gradient[10]);
    const why = veiled ? "Its gradient is yours to predict."
      : gradient ? "" : !L.panes[pane].backward.length ? "Backward has not run inside the with-block: there is no gradient."
        : `No gradient reached it${L.passName(state.step) && " in this pass"}${value.tracked ? "" : ": it does not require one"}.`;
    return [
      h("h3", "", index === own ? "The tensor" : value.name),
      hint(`${value.kind}, ${shape(value)}, ${value.dtype}`, value.detached_from !== undefined && `; detached from ${L.panes[pane].values[value.detached_from].name}: no gradient goes back there`),
      value.stats || gradient ? table(`Statistics of ${value.name}`, ["", "value", `gradient${L.passName(state.step)}`], STATISTICS.map((name, i) => [name, cell(value.stats, i), cell(gradient, i)]))
        : empty("Not measured: select=… left it out."),
      why && empty(why),
      gradient && value.gradient_picture && !L.isLast(state, pane, index) && hint("Of its gradient in a later pass there is a picture."),
      sampled > 0 && hint(`Norm, NaN and infinities are of all elements; the rest of ${sampled}, evenly spaced.`),
      h("div", "thumbs", thumbnail(value.picture, value, "value", pane), gradient && L.isLast(state, pane, index) && thumbnail(value.gradient_picture, value, "gradient", pane)),
    ];
  }

  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const mixed = (from, to, part) => from.map((c, k) => c + part * (to[k] - c));

  // Signed sizes go from orange through the paper's colour to blue; magnitudes are viridis.
  function colour(level, signed) {
    const dark = view.isDark();
    if (level === -128) return dark ? [255, 134, 192] : [163, 0, 92];
    if (!signed) {
      const i = Math.min(3, Math.floor((level / 127) * 4));
      return mixed(VIRIDIS[i], VIRIDIS[i + 1], (level / 127) * 4 - i);
    }
    const end = level > 0 ? (dark ? [86, 168, 224] : [0, 94, 150]) : dark ? [240, 129, 61] : [190, 80, 0];
    return mixed(dark ? [26, 30, 34] : [255, 255, 255], end, Math.abs(level) / 127);
  }

  function thumbnail(picture, value, what, pane) {
    if (!picture) return null;
    const [height, width, scale, pixels] = picture;
    const levels = Int8Array.from(atob(pixels), (c) => c.charCodeAt(0));
    const signed = levels.some((level) => level < 0 && level > -128);
    const name = `${what} of ${value.name}`;
    const canvas = h("canvas", { width, height, role: "img", "aria-label": `${name}, ${height} by ${width}, largest magnitude ${format(scale)}` });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    levels.forEach((level, i) => image.data.set([...colour(level, signed), 255], 4 * i));
    context.putImageData(image, 0, 0);
    const number = (level) => (level === -128 ? "NaN or ∞" : format((level / 127) * scale, 2));
    const numbers = () => table(name, ["", ...Array(width).keys()],
      [...Array(height).keys()].map((row) => [row, ...Array.from(levels.slice(row * width, (row + 1) * width), number)]));
    return h("figure", "", canvas, h("figcaption", "", h("strong", "", what), " ",
      signed ? `orange −${format(scale)}, blue ${format(scale)}` : `dark 0, bright ${format(scale)}`), twinTable("numbers", name, `${pane} ${what}`, numbers));
  }

  return { draw };
};
