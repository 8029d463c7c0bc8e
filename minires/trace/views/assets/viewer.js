"use strict";
// Holds the state, draws it anew when it changes, and listens to keys, buttons and the address.
(() => {
  const L = TraceLogic(JSON.parse(byId("data").textContent));
  let state = L.fromHash(L.start(), location.hash);
  let playing = null, saving = null, answered = null;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => state.theme === "dark" || (state.theme === "auto" && prefersDark.matches);
  const view = { change, isDark };
  const road = Road(L, view), inspector = Step(L, view);

  function change(next) {
    if (!next || next === state) return;
    if (next.step !== state.step) answered = null;
    state = next;
    render();
  }

  function render() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    document.body.className = words(state.cmp && "two", state.predict && "predicting");
    byId("compare").setAttribute("aria-pressed", state.cmp);
    byId("predict").setAttribute("aria-pressed", state.predict);
    byId("show").value = state.show;
    byId("scale").value = state.scale;
    byId("unfold").textContent = state.open.length ? "Close all" : "Open all";
    time();
    road.draw(state);
    quiz();
    inspector.draw(state);
    figures();
    remember();
    if (state.playing !== (playing !== null)) {
      clearInterval(playing);
      playing = state.playing ? setInterval(() => change(L.beat(state)), 300) : null;
    }
  }

  function head() {
    const [{ forward, backward, minires }] = L.panes;
    byId("lede").textContent = L.panes.length > 1 ? "Two networks, one step of training, side by side"
      : `${forward.length} forward and ${backward.length} backward steps, recorded by minires ${minires}`;
    const notes = L.panes.flatMap((pane) => [
      !pane.forward.length ? "Nothing was recorded: no op ran inside the with-block."
        : !pane.backward.length && "Backward has not run inside the with-block: there are no gradients. Call loss.backward() before it ends.",
      pane.error && `The with-block ended with an exception; the trace goes up to there. ${pane.error}`,
      pane.left_out && `${pane.left_out} arrays were not kept: they exceed the memory budget.`,
    ].filter(Boolean).map((note) => (L.panes.length > 1 ? `${pane.name}: ${note}` : note)));
    const { differences } = L;
    if (differences.length) notes.push(`Not twins: ${differences.slice(0, 3).join("; ")}${differences.length > 3 ? `; and ${differences.length - 3} more` : ""}.`);
    byId("notice").textContent = notes.join("\n");
    byId("notice").hidden = !notes.length;
    byId("compare").hidden = L.panes.length < 2;
    for (const each of document.querySelectorAll(".for-sides")) each.hidden = !L.hasSides;
    byId("show").append(...Object.entries(L.MEASURES).map(([value, [text]]) => h("option", { value }, text)));
    byId("scrub").max = Math.max(0, L.ticks.length - 1);
  }

  let stripped = "";
  function strip() {
    const key = JSON.stringify([state.cmp, state.when, state.breaks]);
    if (key === stripped) return;
    stripped = key;
    const marks = [];
    const way = (i) => (L.ticks[i].kind === L.FORWARD ? "forward" : "backward");
    let from = 0, group = null;
    L.ticks.forEach((tick, i) => {
      const here = tick.row === null ? null : L.rows[tick.row].group;
      if (i && here !== group) marks.push(path("tick", `M${i - 0.5} 4V20`));
      group = here;
      if (L.isFork(state, i)) marks.push(path("fork", `M${i} 20V24`));
      if (L.stops(state, i)) marks.push(path("stops", `M${i} 0V4`));
      if (i + 1 === L.ticks.length || way(i + 1) !== way(from)) {
        const a = Math.max(0, from - 0.5), b = Math.min(L.ticks.length - 1, i + 0.5);
        marks.unshift(rect(way(from), a, 4, b - a, 16));
        from = i + 1;
      }
    });
    byId("strip").setAttribute("viewBox", `0 0 ${Math.max(1, L.ticks.length - 1)} 24`);
    byId("strip").replaceChildren(...marks);
  }

  function time() {
    strip();
    const said = L.describe(state), scrub = byId("scrub"), play = byId("play");
    scrub.value = state.step;
    scrub.setAttribute("aria-valuetext", said);
    byId("now").textContent = said;
    play.textContent = state.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", state.playing ? "Pause" : "Play");
  }

  // In the figures, the block that the step is in.
  function figures() {
    const tick = L.ticks[state.step];
    const group = tick && tick.row !== null ? L.rows[tick.row].group : -1;
    for (const bar of document.querySelectorAll(".hit")) {
      const { row } = bar.dataset;
      bar.classList.toggle("now", row !== "" && L.rows[row].group === group);
    }
  }

  function quiz() {
    const section = byId("quiz");
    section.hidden = !state.predict;
    if (!state.predict) return;
    const asked = L.pending(state), { right, asked: given } = L.score(state), next = L.nextQuestion(state);
    const again = next !== null ? button("Next question", () => change(L.to(state, next)), { "data-id": "next" }) : h("p", "hint", "No question is left.");
    const [text, ...rest] = asked
      ? [asked.text, ...asked.options.map((option, i) => button([h("kbd", "", String(i + 1)), ` ${option}`], () => reply(i), { "data-id": `choice ${i}` }))]
      : answered ? [[h("strong", "", answered.right ? "Yes. " : "No. "), `${answered.told}.`], again]
        : ["Gradients are hidden until you have said what you expect of them.", again];
    redraw(section, h("h2", { id: "quiz-title" }, given ? `Predicted: ${right} of ${given}` : "Predict, then reveal"),
      h("p", { class: "prose", role: "status" }, text), h("div", "choices", rest));
  }

  function reply(choice) {
    const asked = L.pending(state);
    const next = L.answer(state, choice);
    if (next === state) return;
    answered = { right: asked.answer === choice, told: asked.told };
    change(next);
  }

  const on = (id, event, action) => byId(id).addEventListener(event, action);
  const onEnter = (id, action) => on(id, "keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    action();
  });
  function close() {
    document.activeElement.blur();
    document.querySelector("dialog[open]").close();
  }
  for (const each of document.querySelectorAll("dialog")) {
    // Left to itself the browser closes a dialog some time after Escape, perhaps the next one opened.
    each.setAttribute("closedby", "none");
    each.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      each.close();
    });
    each.setAttribute("aria-label", each.firstChild.textContent);
    each.append(h("div", "row", button("Close", close)));
  }

  function goTo() {
    const { value } = byId("goto-step");
    close();
    if (value !== "") change(L.to(state, Number(value) - 1));
  }
  on("goto-go", "click", goTo);
  onEnter("goto-step", goTo);

  function find() {
    const found = L.search(state, byId("wanted").value);
    const go = (index) => { close(); change(L.to(state, index)); };
    const none = byId("wanted").value.trim() ? [h("li", "hint", "Nothing is called so.")] : [];
    byId("found").replaceChildren(...(found.length ? found.map(({ index, text }) => h("li", "", button(text, () => go(index), { class: "link" }))) : none));
  }
  on("wanted", "input", find);
  onEnter("wanted", () => {
    const first = byId("found").querySelector("button");
    if (first) first.click();
  });

  function listStops() {
    const line = (text, less) => h("li", "row", text, button("Remove", () => { change({ ...state, ...less }); listStops(); }, { "aria-label": `Remove: ${text}`, "data-id": text }));
    redraw(byId("stop-list"),
      ...state.when.map((text) => line(text, { when: state.when.filter((other) => other !== text) })),
      ...state.breaks.map((at) => line(`step ${at + 1}: ${L.nameOf(at)}`, { breaks: state.breaks.filter((other) => other !== at) })));
  }
  const bare = () => ["nan", "fork"].includes(byId("stop-kind").value);
  function addStop() {
    const made = L.condition(byId("stop-kind").value + (bare() ? "" : byId("stop-text").value));
    byId("stop-wrong").textContent = made ? "" : "Type a number, such as 1e-4, or a name, such as layer2.0.";
    if (made) change({ ...state, when: [...new Set([...state.when, made.text])] });
    listStops();
  }
  on("stop-add", "click", addStop);
  onEnter("stop-text", addStop);
  on("stop-kind", "change", () => { byId("stop-text").hidden = bare(); });

  // Browsers refuse an address that changes too often.
  function remember() {
    const text = L.toHash(state);
    byId("state").value = text;
    clearTimeout(saving);
    saving = setTimeout(() => {
      let has = true;
      try {
        if (location.hash !== text) history.replaceState(null, "", text);
      } catch {
        has = false;
      }
      byId("state-hint").textContent = has ? "The page’s address holds the step and all that is opened."
        : "This frame has no address. Copy its state as text; pasted here, it is taken up again.";
    }, 150);
  }

  const EFFECTS = {
    help: () => byId("keys").showModal(), alone: () => byId("alone").showModal(), fit: road.fit,
    theme: () => change({ ...state, theme: isDark() ? "light" : "dark" }),
    search: () => { byId("finder").showModal(); byId("wanted").select(); },
    breakpoints: () => { listStops(); byId("stops").showModal(); },
    goto: () => {
      byId("goto-of").textContent = `of ${L.ticks.length}`;
      byId("goto-step").value = state.step + 1;
      byId("goto").showModal();
      byId("goto-step").select();
    },
  };

  function act(key, shift) {
    if (/^[1-9]$/.test(key)) return state.predict && reply(Number(key) - 1);
    const [next, effect] = L.press(state, key, shift);
    if (effect) EFFECTS[effect]();
    else change(next);
    return next !== null;
  }

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("dialog")) return;
    if (target.matches("input:not([type=range]), select")) return;
    if (target.matches("button, summary") && [" ", "Enter"].includes(key)) return;
    if (target.matches(".wide") && key.startsWith("Arrow")) return;
    if (act(key, event.shiftKey)) event.preventDefault();
  });
  document.addEventListener("click", ({ target }) => {
    const { key, row } = target.dataset;
    if (key) act(key);
    else if (row) change(L.row(state, Number(row)));
  });
  on("scrub", "input", () => change(L.to(state, Number(byId("scrub").value))));
  on("unfold", "click", () => change({ ...state, open: state.open.length ? [] : L.groups.map((_, i) => `g${i}`) }));
  for (const id of ["show", "scale"]) on(id, "change", () => change({ ...state, [id]: byId(id).value }));
  on("state", "change", () => change(L.fromHash(state, byId("state").value)));
  on("copy", "click", () => {
    byId("state").select();
    if (navigator.clipboard) navigator.clipboard.writeText(byId("state").value).catch(() => {});
  });
  addEventListener("hashchange", () => location.hash !== L.toHash(state) && change(L.fromHash(L.start(), location.hash)));
  prefersDark.addEventListener("change", render);
  head();
  render();
})();
