// Takes side by side in a wide panel, with one control for all of them; what a judge thinks of them; and the takes that
// were thrown away.

const comparison = (() => {
  const grid = h("ol.wn-compare");
  const play = h("button.wn-second", { type: "button", onclick: () => clock.toggle() });
  const scrub = h("input.wn-scrub", { type: "range", min: 0, max: 1000, step: 1, value: "0", "aria-label": T("takes.scrub"), oninput: () => { clock.rest(); clock.seek(Number(scrub.value) / 1000); } });
  const opinion = h("div.wn-opinion");
  const node = h("div.wn-comparing", {}, grid, h("div.wn-compare-bar", {}, play, scrub), opinion, h("p.wn-small.wn-compare-hint", {}, T("takes.compare_hint")));
  const clock = together({ told: (state) => { if (document.activeElement !== scrub || state.playing) scrub.value = String(Math.round(1000 * state.share)); node.dataset.apart = String(Math.round(1000 * state.apart)); label_(); } });
  const tiles = new Map();
  let scene = null;

  function label_() {
    if (play.dataset.on === String(clock.playing)) return;
    play.dataset.on = String(clock.playing);
    play.replaceChildren(icon(clock.playing ? "pause" : "play"), h("span", {}, T(clock.playing ? "takes.pause" : "takes.play")));
  }

  const list = { ...takes.list, show: (take) => takes.list.show(take) };

  function open() {
    scene = view.takes.scene;
    tiles.clear();
    grid.replaceChildren();
    drawer.open("compare", T("takes.compare_title"), (body) => {
      body.append(node);
      draw(view);
    }, { wide: true, after: draw });
    takes.settle();
    if (!calm.matches) clock.begin();
    label_();
  }

  root.querySelector(".wn-drawer").addEventListener("keydown", (event) => {
    if (!drawer.shows("compare") || event.ctrlKey || event.metaKey || event.altKey) return;
    const natively = event.target.closest("button") && event.key === " ";
    if (/^[1-8]$/.test(event.key)) takes.pick(Number(event.key));
    else if (event.key.toLowerCase() === "s") takes.starShown();
    else if (event.key === " " && !natively) clock.toggle();
    else return;
    event.preventDefault();
  });
  // leaving: the tray goes on where the panel stopped
  new MutationObserver(() => { if (!node.isConnected && clock.playing) { clock.rest(); takes.settle(); } }).observe(root, { childList: true, subtree: true });

  function draw(now) {
    if (!now.takes || now.takes.scene !== scene || !now.takes.takes.length) return drawer.shut();
    const given = now.takes.takes;
    const ranked = given.some((take) => take.rank);
    const up = takes.shown();
    const nodes = given.map((take, at) => {
      if (!tiles.has(take.id)) tiles.set(take.id, takeTile({ big: true, list }));
      tiles.get(take.id).draw(take, { at, count: given.length, shown: !!up && up.id === take.id, ranked });
      return tiles.get(take.id).node;
    });
    arrange(grid, nodes);
    clock.use(given.map((take) => tiles.get(take.id).film));
    drawOpinion(now.takes);
  }

  let opinionKey = "";
  function drawOpinion(given) {
    const key = JSON.stringify([given.opinion, given.takes.map((take) => [take.id, take.verdict])]);
    if (key === opinionKey && opinion.childNodes.length) return;
    opinionKey = key;
    const it = given.opinion;
    opinion.hidden = !it;
    if (!it) return opinion.replaceChildren();
    const scored = given.takes.filter((take) => take.verdict && take.verdict.score !== null);
    opinion.replaceChildren(...[
      it.job ? h("p", { role: "status" }, it.job.text, " ", h("button.wn-link", { type: "button", onclick: () => act("cancel", { job: it.job.id }) }, T("takes.stop_one"))) : null,
      it.ask && !it.job ? h("button.wn-second", { type: "button", onclick: () => act("judge_takes") }, it.ask) : null,
      it.leaves ? h("p.wn-small.wn-opinion-why", {}, it.leaves) : null,
      it.error && !it.job ? h("p.wn-small", { role: "status" }, it.error) : null,
      scored.length > 1 && !it.job ? h("button.wn-link", { type: "button", onclick: byOpinion }, T("takes.by_opinion")) : null,
      it.why ? h("p.wn-small.wn-opinion-why", {}, h("strong", {}, T("takes.own_opinion") + ": " + T("takes.not_judged") + ". "), it.why) : null,
    ].filter(Boolean));
  }

  // Those that were not judged keep their places behind the others.
  function byOpinion() {
    const score = (take) => (take.verdict && take.verdict.score !== null ? take.verdict.score : -1);
    act("rank_takes", { order: [...view.takes.takes].sort((one, other) => score(other) - score(one)).map((take) => take.id) });
  }

  async function trash() {
    const found = await ask("takes_trash");
    if (!found) return;
    const place = view.takes.scene;
    drawer.open("takes_trash", T("takes.trash_title"), (body) => {
      body.append(found.takes.length ? h("ul.wn-trashed-takes", {}, found.takes.map((take) => h("li", {},
        take.thumb ? h("img", { src: media(take.thumb), alt: "" }) : null,
        h("span", {}, T("takes.number", { number: take.number })),
        h("button.wn-second", { type: "button", onclick: async () => {
          if (view.takes && view.takes.scene === place && (await act("restore_take", { take: take.id }))) drawer.shut();
        } }, T("takes.bring_back"))))) : h("p", {}, T("takes.trash_empty")));
    });
  }

  return { open, trash };
})();
