// The side of the words: ask, read along, choose, change, draw. One panel, redrawn only when its kind changes, so that
// nobody's typing is ever overwritten by an answer of the server.

const words = (() => {
  const node = h("section.wn-words", { "aria-label": T("words.name") });
  // On a phone the big button stands in its place while a field has the focus (thumb.css): were the focus lost as the
  // finger comes down, the button would jump away under it and never be pressed.
  node.addEventListener("mousedown", (event) => { if (event.target.closest("[data-primary]")) event.preventDefault(); });
  let kind = "";
  let parts = {};

  const extras = []; // what other parts offer beside the question: functions (view, scene) -> node or null
  const here_ = (now) => now.path.find((scene) => scene.id === now.here.scene);
  const troubleKey = (now) => (now.trouble ? ":" + now.trouble.text : "");

  // Why the last try did not work: stays until the next try, here where it can be mended.
  function troubleBox(now) {
    if (!now.trouble) return null;
    const known = now.trouble.known || [];
    return h("div.wn-trouble", { role: "status" }, h("p", {}, now.trouble.text),
      known.length ? h("p.wn-small", {}, T(now.trouble.here ? "words.instead" : "words.known")) : null,
      known.length ? h("ul.wn-known", {}, known.slice(0, 8).map((word) => h("li", {}, h("button", { type: "button", onclick: () => use(word) }, word)))) : null);
  }

  // A sentence that is known, taken into the field that is being written in.
  function use(sentence) {
    const field = parts.box || parts.steer;
    if (!field) return;
    field.value = sentence;
    field.focus();
  }

  const key = (now) => {
    const job = now.job;
    if (job && job.kind === "think") return "thinking:" + job.id;
    if (job && job.kind === "describe") return "reading:" + job.id;
    if (job && job.kind === "draw") return "drawing:" + job.id;
    if (now.offers) return "offers:" + now.here.scene + ":" + now.offers.seen;
    const one = here_(now);
    if (one && !one.clip) return "undrawn:" + one.id + troubleKey(now);
    if (now.draft && !kept(now.draft).hidden) return "choose:" + now.draft.job;
    return "rest:" + now.here.scene + troubleKey(now);
  };

  function steerField(value) {
    const field = h("input.wn-steer", { type: "text", id: "wn-steer", maxlength: 200, value: value || "", placeholder: T("words.nudge_like"), autocomplete: "off" });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); ask(); }
    });
    parts.steer = field;
    return h("div.wn-field", {}, h("label", { for: "wn-steer" }, T("words.nudge") + " ", h("span.wn-small", {}, T("words.nudge_optional"))), field);
  }

  function ask() {
    if (view.job) return;
    player.stop();
    act("think", { steer: parts.steer ? parts.steer.value.trim() : "" });
  }

  const add = (...kids) => node.append(...kids.filter(Boolean));

  const KINDS = {
    rest(now) {
      const one = now.path.find((scene) => scene.id === now.here.scene);
      const at = now.path.indexOf(one);
      const next = h("button.wn-first.wn-next", { type: "button", "data-primary": "", onclick: ask }, T("words.next"), h("kbd", {}, "N"));
      add(
        h("p.wn-kicker", {}, at === 0 ? T("words.beginning") : T("words.scene", { n: at + 1 })),
        parts.said = h("p.wn-said", {}, one ? one.words || one.seen || "" : ""),
        one && one.seen ? h("p.wn-small", {}, T("words.understood", { words: one.seen })) : null,
        troubleBox(now), steerField(now.steer),
        one && one.after ? h("p.wn-hint.wn-new-way", {}, icon("branch"), T("wander.new_way")) : null, next, ...extras.map((make) => make(now, one)),
        now.draft ? h("button.wn-link", { type: "button", onclick: () => { keep(now.draft, { hidden: false }); draw(view); } }, T("words.show_again")) : null);
      parts.next = next;
    },

    thinking(now) {
      parts.list = h("ul.wn-thoughts", { "aria-busy": "true" });
      parts.status = h("p.wn-small");
      node.append(h("p.wn-kicker", {}, T("words.thinking")), parts.list, parts.status,
        h("button.wn-second", { type: "button", onclick: () => act("cancel", { job: now.job.id }) }, T("words.stop_thinking")));
    },

    choose(now) {
      const draft = now.draft;
      const saved = kept(draft);
      const box = h("textarea.wn-edit", { id: "wn-edit", rows: 4, maxlength: 600, value: saved.text, oninput: () => keep(draft, { text: box.value }) });
      box.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); drawIt(); }
      });
      parts.box = box;
      const cards = draft.alternatives.map((text, index) => {
        const pick = h("input", { type: "radio", name: "wn-thought", id: "wn-thought-" + index, value: String(index) });
        pick.checked = index === saved.pick;
        pick.addEventListener("change", () => {
          box.value = text;
          keep(draft, { pick: index, text });
        });
        return h("div", {}, pick, h("label.wn-thought", { for: "wn-thought-" + index }, text));
      });
      const cut = h("input", { type: "checkbox", id: "wn-cut" });
      cut.checked = !!saved.cut;
      cut.addEventListener("change", () => keep(draft, { cut: cut.checked }));
      parts.cut = cut;
      add(
        h("p.wn-kicker", {}, T(draft.alternatives.length > 1 ? "words.could_go" : "words.goes_like")),
        draft.alternatives.length > 1 ? h("div.wn-thoughts.wn-choice", { role: "radiogroup", "aria-label": T("words.ways") }, cards) : null,
        h("div.wn-field", {}, h("label", { for: "wn-edit" }, T("words.to_draw") + " ", h("span.wn-small", {}, T("words.yours"))), box),
        h("div.wn-check", {}, cut, h("label", { for: "wn-cut" }, T("words.cut") + " ", h("span.wn-small", {}, T("words.cut_means")))),
        drift.option(now, cut),
        h("div.wn-row", {},
          h("button.wn-first", { type: "button", "data-primary": "", onclick: drawIt }, T("words.draw"), h("kbd", {}, T("words.enter"))), takes.chooser(),
          h("button.wn-quiet", { type: "button", onclick: () => { keep(draft, { hidden: true }); draw(view); } }, T("words.not_now"))),
        h("details.wn-more", {}, h("summary", {}, T("words.think_again")), steerField(draft.steer),
          h("button.wn-second", { type: "button", onclick: ask }, T("words.think_again"))),
        now.thoughts > 1 ? ideas.box(draft.job, reopen) : null);
    },

    undrawn(now) {
      const one = here_(now);
      const box = h("textarea.wn-edit", { id: "wn-edit", rows: 4, maxlength: 600, value: one.words });
      box.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); drawAgain(); }
      });
      parts.box = box;
      parts.was = one.words;
      add(
        h("p.wn-kicker", {}, T("words.scene_undrawn", { n: now.path.indexOf(one) + 1 })),
        troubleBox(now),
        h("div.wn-field", {}, h("label", { for: "wn-edit" }, T("words.to_draw")), box),
        h("div.wn-row", {},
          h("button.wn-first", { type: "button", "data-primary": "", onclick: drawAgain }, T("words.draw"), h("kbd", {}, T("words.enter"))), takes.chooser(),
          h("button.wn-quiet", { type: "button", onclick: () => act("trash_scene") }, T("words.throw_away"))),
        retell.drawRest(now, one));
    },

    drawing(now) {
      node.append(h("p.wn-kicker", {}, T("words.being_drawn")), h("p.wn-said", {}, now.job.words || ""),
        h("p.wn-small", {}, T("words.drawing_hint")));
    },

    reading() {
      parts.status = h("p.wn-small");
      node.append(h("p.wn-kicker", {}, T("words.looking")), h("p.wn-said", {}, T("words.might_be")), parts.status);
    },

    offers(now) {
      const offers = now.offers;
      const box = h("textarea.wn-edit", { id: "wn-retell", rows: 4, maxlength: 600, value: offers.retell || "" });
      parts.box = box;
      add(
        h("p.wn-kicker", {}, T("words.own_picture")),
        h("p.wn-said", {}, offers.seen ? T("words.understood", { words: offers.seen }) : T("words.not_understood")),
        offers.note ? h("p.wn-small", {}, offers.note) : null,
        h("p", {}, offers.limits),
        h("div.wn-field", {}, h("label", { for: "wn-retell" }, T("words.tell_it")), box),
        offers.known && offers.known.length ? h("details.wn-more", {}, h("summary", {}, T("words.what_known")), h("ul.wn-known", {}, offers.known.map((word) => h("li", {}, h("button", { type: "button", onclick: () => use(word) }, word))))) : null,
        h("button.wn-first", { type: "button", "data-primary": "", onclick: () => act("retell", { words: box.value.trim() }) }, T("words.retell")),
        h("div.wn-row", {},
          h("button.wn-second", { type: "button", onclick: () => act("keep_still", { words: box.value.trim() }) }, T("words.keep_still")),
          h("button.wn-quiet", { type: "button", onclick: goHome }, T("words.later"))),
        h("details.wn-more", {}, h("summary", {}, T("words.bigger")), h("p", {}, offers.bigger)));
    },
  };

  function drawAgain() {
    const text = parts.box.value.trim();
    if (!text) return parts.box.focus();
    act("redraw", { words: text, was: parts.was, takes: takes.wanted() });
  }

  function drawIt() {
    const draft = view.draft;
    const text = parts.box.value.trim();
    if (!text) {
      parts.box.focus();
      return tell({ kind: "info", text: T("words.choose_first") });
    }
    player.stop();
    act("draw", { words: text, job: draft.job, alternative: kept(draft).pick, mode: parts.cut && parts.cut.checked ? "cut" : "continue", anchor: drift.wanted(), takes: takes.wanted() });
  }

  // Thoughts from before, on the table again: {job, alternatives, steer}, `index` the one that was pressed.
  let reopened = null;
  function reopen(draft, index) {
    reopened = { scene: view.here.scene, draft };
    keep(draft, { pick: index, text: draft.alternatives[index], hidden: false });
    kind = "";
    draw(view);
  }

  // What a person typed survives a refresh of the tab; the story itself lives on the server.
  function kept(draft) {
    const fallback = { pick: 0, text: draft.alternatives[0] || "", cut: false };
    try {
      return { ...fallback, ...JSON.parse(sessionStorage.getItem("wn:" + draft.job) || "{}") };
    } catch (error) {
      return fallback;
    }
  }
  function keep(draft, change) {
    try {
      sessionStorage.setItem("wn:" + draft.job, JSON.stringify({ ...kept(draft), ...change }));
    } catch (error) { /* a private window without storage */ }
  }

  function draw(now) {
    if (reopened && (reopened.scene !== now.here.scene || (now.job && now.job.kind === "think"))) reopened = null;
    if (reopened && !now.job) now.draft = reopened.draft;
    const wanted = key(now);
    if (wanted !== kind) {
      const hadFocus = node.contains(document.activeElement);
      kind = wanted;
      parts = {};
      node.replaceChildren();
      node.dataset.kind = wanted.split(":")[0];
      KINDS[node.dataset.kind](now);
      if (hadFocus) {
        const primary = (now.trouble && (parts.steer || parts.box)) || node.querySelector("[data-primary]") || node.querySelector("button");
        if (primary) primary.focus({ preventScroll: true });
      }
      announce(SAYS[node.dataset.kind](now));
    }
    const one = here_(now); // undo, or another window, may have changed the words; what is being written here stays
    if (parts.said && one && parts.said.textContent !== (one.words || one.seen || "")) parts.said.textContent = one.words || one.seen || "";
    if (parts.was !== undefined && one && one.words !== parts.was && parts.box.value === parts.was) parts.box.value = parts.was = one.words;
    if (parts.status && now.job) parts.status.textContent = now.job.text;
    if (node.dataset.kind === "thinking") {
      const lines = now.job.alternatives.length ? now.job.alternatives : [{ text: "", done: false }];
      while (parts.list.children.length < lines.length) parts.list.append(h("li.wn-thought"));
      lines.forEach((line, index) => {
        const item = parts.list.children[index];
        if (item.textContent !== line.text) item.textContent = line.text;
        item.classList.toggle("wn-writing", !line.done);
      });
    }
  }

  const SAYS = {
    rest: (now) => (now.path.length ? T("words.shown", { n: now.path.findIndex((one) => one.id === now.here.scene) + 1 }) : ""),
    thinking: () => T("words.thinking"),
    choose: (now) => T("words.num_ways", { n: now.draft.alternatives.length }),
    undrawn: () => T("words.undrawn"),
    drawing: () => T("words.being_drawn"),
    reading: () => T("words.looking"),
    offers: () => T("words.offers"),
  };

  return { node, extras, parts: () => parts, draw, ask, reopen, forget: () => { kind = ""; } };
})();
