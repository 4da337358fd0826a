// Earlier ideas: what was thought of after this scene before. Thinking again never loses a thought; here they are taken up
// again, to be changed and drawn like new ones.

const ideas = (() => {
  // Filled when it is opened. `but`: the job whose thoughts are on the page already; `take(draft, index)`: what then.
  function box(but, take) {
    const body = h("div.wn-ideas");
    const node = h("details.wn-more", {}, h("summary", {}, T("ideas.earlier")), body);
    node.addEventListener("toggle", async () => {
      if (!node.open || body.childNodes.length) return;
      const found = await ask("ideas", { but: but || "" });
      if (!found) return void (node.open = false);
      body.replaceChildren(...(found.ideas.length ? found.ideas.map((idea) => h("div.wn-idea", {},
        idea.steer ? h("p.wn-small", {}, T("ideas.wish", { steer: idea.steer })) : null,
        h("ul", {}, idea.alternatives.map((text, index) => h("li", {},
          h("button.wn-idea-text", { type: "button", title: T("ideas.use"), onclick: () => take(idea, index) }, text))))))
        : [h("p.wn-small", {}, T("ideas.none"))]));
    });
    return node;
  }

  words.extras.push((now, scene) => (scene && scene.clip && now.thoughts > (now.draft ? 1 : 0)
    ? box(now.draft ? now.draft.job : "", (idea, index) => words.reopen(idea, index)) : null));
  return { box };
})();
