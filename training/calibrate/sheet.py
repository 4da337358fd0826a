"""A sheet for people: one HTML file with every scene of a set, in an order and under numbers that tell nothing.

It holds no verdict, no kind and no id, loads nothing from anywhere, and gives its answers as a small file that
`read_answers` takes back as the verdicts of "person:NAME". Knows nothing of judges.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from nsp_core.errors import UserError
from nsp_core.judges import Outcome, Verdict
from nsp_core.types import Frames
from training.calibrate.pairs import Pair, fingerprint
from training.evaluate.report import webp

FORMAT = 1
TEMPLATE = f"by eye {FORMAT}"
_SAID: dict[str, Outcome] = {"y": "pass", "n": "fail", "?": "missing"}
_PERSON = re.compile(r"[\w-]{1,40}")


def write_sheet(path: Path, pairs: Sequence[Pair], limit: int = 0) -> int:
    """How many scenes are in it: all, or `limit` that chance picks. Whole or not at all. Raises UserError for a path
    that is taken: somebody may have begun to answer."""
    if path.exists():
        raise UserError(f"{path} is there already: choose another name, answers may belong to it.")
    name = fingerprint(pairs)
    shown = _coded(pairs, name)[: limit or None]
    cards = [_card(number, code, pair) for number, (code, pair) in enumerate(shown, 1)]
    head = _HEAD.replace("{set}", name).replace("{n}", str(len(cards)))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.partial")
    part.write_text(head + "".join(cards) + _TAIL, encoding="utf-8")
    os.replace(part, path)
    return len(cards)


def read_answers(path: Path, pairs: Sequence[Pair]) -> tuple[str, list[tuple[str, Verdict]]]:
    """("person:NAME", verdicts by scene); scenes without an answer are left out. Raises UserError for answers that are
    none, or that belong to another set."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        name, belongs, answers = str(given["person"]), given["set"], dict(given["answers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no answers of a sheet ({error}): give the file that the sheet saved.") from None
    if given.get("format") != FORMAT or belongs != fingerprint(pairs):
        raise UserError(f"{path} belongs to another set of scenes, or the set has changed since the sheet was made.")
    if not _PERSON.fullmatch(name):
        raise UserError(f"{path} is signed {name!r}: a name has letters, digits, - and _, at most 40.")
    ids = {code: pair.id for code, pair in _coded(pairs, belongs)}
    strange = [code for code, said in answers.items() if code not in ids or said not in _SAID]
    if strange:
        raise UserError(f"{path} has an answer that is none ({strange[0]}: {answers[strange[0]]!r}).")
    judge = f"person:{name}"
    return judge, [
        (ids[code], Verdict(_SAID[said], "as seen by a person", judge, TEMPLATE)) for code, said in answers.items()
    ]


def _coded(pairs: Sequence[Pair], name: str) -> list[tuple[str, Pair]]:
    """In the order of their codes, which is that of a hash: no neighbour tells anything of a scene."""
    return sorted((hashlib.sha256(f"{name}/{pair.id}".encode()).hexdigest()[:12], pair) for pair in pairs)


def _card(number: int, code: str, pair: Pair) -> str:
    before, scene = pair.context.scenes[-1:], pair.scene
    shown = before[0].frames[-1:] if before and before[0].frames is not None else None
    answers = "".join(
        f"<label><input type='radio' name='{code}' value='{value}'>{text}</label>"
        for value, text in (("y", "It follows"), ("n", "It does not"), ("?", "I can't say"))
    )
    return (
        f"<section id='n{number}'><h2>{number}</h2><div><figure><figcaption>Before</figcaption>"
        f"{_picture(shown, 'the scene before')}<p>{html.escape(pair.before_words)}</p></figure>"
        f"<figure><figcaption>Then</figcaption>{_picture(scene.frames, 'the scene that is asked about')}"
        f"<p>{html.escape(scene.words)}</p></figure></div>"
        f"<fieldset><legend>Does it follow?</legend>{answers}</fieldset></section>\n"
    )


def _picture(frames: Frames | None, what: str) -> str:
    if frames is None or not len(frames):
        return ""
    height, width = frames.shape[1:3]
    scale = min(1.0, 480 / max(height, width)) if max(height, width) > 480 else 2.0 if width <= 240 else 1.0
    size = f"width='{round(width * scale)}' height='{round(height * scale)}'"
    return f"<img alt='{what}' {size} src='data:image/webp;base64,{base64.b64encode(webp(frames)).decode()}'>"


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Does it follow?</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f7f4ee; color: #2b2a33 }
main { max-width: 860px; margin: 0 auto; padding: 16px 16px 96px }
section { background: #fff; border-radius: 10px; padding: 12px 16px; margin: 16px 0; border-left: 6px solid #c9c5bd }
section.done { border-color: #2f6f8f } section div { display: flex; flex-wrap: wrap; gap: 16px }
h2 { margin: 0; font-size: 15px; color: #6d6a78 } figure { margin: 0; flex: 1 1 320px }
img { border-radius: 6px; max-width: 100% }
figcaption { font-size: 13px; color: #6d6a78 } p { margin: 4px 0 } fieldset { border: 0; padding: 8px 0 0; margin: 0 }
legend { position: absolute; clip-path: inset(50%) } label { margin-right: 18px; display: inline-block; padding: 6px 0 }
footer { position: fixed; inset: auto 0 0 0; background: #2b2a33; color: #fff; padding: 10px 16px; display: flex;
 gap: 12px; flex-wrap: wrap; align-items: center; justify-content: center }
button, footer input { font: inherit; padding: 4px 12px }
</style><main data-set="{set}"><h1>Does it follow?</h1>
<p>Each of {n} scenes comes with the one before it. A scene <strong>follows</strong> when it could well come next: it
happens because of, or after, what was there, it is a new moment that does not merely show the same again, and the words
below a moving picture tell what is seen in it. Decide by your first good look. Keys: y, n and ? answer the scene in the
middle of the window. Your answers are kept in this browser until you save them.</p>
"""

_TAIL = """</main><footer><span id="count" role="status"></span><label>Your name
<input id="person" size="14" pattern="[A-Za-z0-9_-]{1,40}"></label><button id="save">Save the answers</button></footer>
<script>
"use strict";
const set = document.querySelector("main").dataset.set, person = document.getElementById("person");
const sections = [...document.querySelectorAll("section")], key = `whatnext-labels-${set}-${sections.length}`;
let kept = { person: "", answers: {} };
try { kept = JSON.parse(localStorage.getItem(key)) || kept; } catch { /* a browser without a memory: save in time */ }
person.value = kept.person;
for (const [code, said] of Object.entries(kept.answers)) {
  const input = document.querySelector(`input[name="${CSS.escape(code)}"][value="${CSS.escape(said)}"]`);
  if (input) input.checked = true;
}
function answers() {
  const checked = [...document.querySelectorAll("section input:checked")];
  return Object.fromEntries(checked.map((one) => [one.name, one.value]));
}
function changed() {
  const given = answers();
  for (const one of sections) one.className = one.querySelector("input:checked") ? "done" : "";
  document.getElementById("count").textContent = `${Object.keys(given).length} of ${sections.length} answered`;
  try { localStorage.setItem(key, JSON.stringify({ person: person.value, answers: given })); } catch { /* see above */ }
}
document.addEventListener("change", changed);
document.addEventListener("keydown", (event) => {
  if (!"yn?".includes(event.key) || event.target === person || event.ctrlKey || event.metaKey) return;
  const middle = window.innerHeight / 2;
  const at = sections.find((one) => one.getBoundingClientRect().bottom >= middle) || sections[sections.length - 1];
  at.querySelector(`input[value="${event.key}"]`).checked = true;
  changed();
  const next = sections[sections.indexOf(at) + 1];
  if (next) next.scrollIntoView({ block: "center" });
});
document.getElementById("save").addEventListener("click", () => {
  if (!person.value || !person.checkValidity()) { person.focus(); person.reportValidity(); return; }
  const text = JSON.stringify({ format: 1, set, person: person.value, answers: answers() }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `answers-${person.value}.json`;
  link.click();
});
changed();
</script></html>
"""
