"""`launch.py bench app`: how the page feels, measured in Chromium in front of the program as a person starts it.

Warm: the model is loaded and has done the same once before. Where there is no browser, what needs one is missing.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.settings import Settings
from app.store import Store, open_store
from app.store.models import SceneRow, StoryRow, TakeRow
from tests.bench import page
from tests.bench.model import paired_ratio
from tests.conftest import CHROMIUM_OPTIONS
from tests.run import find_chromium

Rows = list[dict[str, Any]]
Row = Callable[..., dict[str, Any]]

SCENES, BRANCHES, ELSEWHERE = 1000, 200, 10_000
PATIENCE = 120_000  # milliseconds for anything that a browser waits for
MEGABYTE = 1e6

# Runs in the page: press the button that is first, and wait for something to be seen. Returns seconds.
PRESS = """
async (seen) => {
  const from = performance.now();
  document.querySelector(".wn-words [data-primary]").click();
  const look = new Function("return " + seen);
  while (!look()) await new Promise(requestAnimationFrame);
  return (performance.now() - from) / 1000;
}
"""
# only what came of the click: another field of the room shows the words of the scene that is there already
WORD_IS_SEEN = """[...document.querySelectorAll(
        ".wn-words[data-kind=thinking] .wn-thoughts li, .wn-words[data-kind=choose] .wn-edit")]
    .some((one) => (one.value || one.textContent).trim())"""
PREVIEW_IS_SEEN = """[...document.querySelectorAll("img.wn-preview, .wn-take-coming img")]
    .some((one) => !one.hidden && one.src && one.complete && one.naturalWidth)"""


# in the order in which they are measured
IN_A_BROWSER = (
    ("first word seen after the click", "s", 1.0),
    ("first preview seen after the click", "s", 2.0),
    ("refresh, until the running job is seen", "s", 1.0),
    (f"story map of {SCENES} scenes with {BRANCHES} branches drawn", "s", 0.3),
    ("memory of the page's process", "MB", 300.0),
)


class NoBrowser(RuntimeError):
    pass


def rows(row: Row, missing: Row, *, starter: Path | None, rounds: int) -> Iterator[dict[str, Any]]:
    """`row` and `missing` make a line of the answer; see tests.bench.main."""
    ready = ("page ready, from the command to its first answer", "s", 5.0)
    try:
        yield row(ready[0], page.seconds_until_ready(), ready[1], bar=ready[2])
    except page.PageDidNotStart as error:
        yield missing(*ready, error)
    yield independence(rounds)
    left = list(IN_A_BROWSER)
    try:
        for found, value in in_a_browser(starter, rounds):
            what, unit, bar = left.pop(0)
            yield row(f"{what} ({found})", value, unit, bar=bar)
    except (page.PageDidNotStart, NoBrowser, OSError) as error:
        for each in left:
            yield missing(*each, error)


def in_a_browser(starter: Path | None, rounds: int) -> Iterator[tuple[str, float]]:
    """What and how, for each of IN_A_BROWSER."""
    import psutil

    with tempfile.TemporaryDirectory(prefix="whatnext-bench-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "page.log"
        store = open_store(Settings(data))
        great = a_great_story(store, SCENES, BRANCHES)
        with environment(WHATNEXT_MODEL=str(starter.resolve()) if starter else None):
            process = page.start(data, log)
        try:
            link = page.wait_for_link(process, log, time.perf_counter())
            with chromium() as browser:
                tab = browser.new_page(viewport={"width": 1280, "height": 860})
                tab.set_default_timeout(PATIENCE)
                tab.goto(link)
                ready(tab)
                words, previews = think_and_draw(tab, rounds)
                model = f"warm, {starter.name if starter else 'starter'}"
                yield model, words
                yield model, previews
                yield "six takes waiting", refresh(tab, store)
                drawn, opened = story_map(tab, link, great, rounds)
                yield f"{opened:.2f} s after the click", drawn
            yield "after all of that", psutil.Process(process.pid).memory_info().rss / MEGABYTE
        finally:
            page.end(process)
            store.close()


# in the browser -----------------------------------------------------------------------------------------------------


def ready(tab: Any) -> None:
    tab.wait_for_selector('.wn[data-ready="yes"]')


def wait_for(tab: Any, kind: str) -> None:
    tab.wait_for_selector(f'.wn-words[data-kind="{kind}"]')


def think_and_draw(tab: Any, rounds: int) -> tuple[float, float]:
    """Medians over scenes that follow each other; the first one warms up."""
    tab.get_by_role("button", name="Begin with these words").wait_for()
    tab.locator("textarea:visible, input[type=text]:visible").first.fill(
        "It is a clear day at the shore. A yellow egg is on the left. A purple seed is on the right."
    )
    tab.get_by_role("button", name="Begin with these words").click()
    wait_for(tab, "rest")
    words, previews = [], []
    for _ in range(rounds + 1):
        words.append(tab.evaluate(PRESS, WORD_IS_SEEN))
        wait_for(tab, "choose")
        previews.append(tab.evaluate(PRESS, PREVIEW_IS_SEEN))
        wait_for(tab, "rest")
    return statistics.median(words[1:]), statistics.median(previews[1:])


def refresh(tab: Any, store: Store) -> float:
    """With enough to draw that it cannot be over before the page is back."""
    owner = store.local_owner()
    stories = store.stories(owner)
    story = next(each for each in stories.list_stories() if each.scene_count < SCENES)
    scene = stories.scene(story.head_scene_id or "")
    for seed in range(6):
        payload = {"words": scene.words, "mode": scene.mode, "options": {"seed": seed}}
        store.jobs.submit(owner, "draw", payload, story_id=story.id, scene_id=scene.id)
    until(lambda: any(job.status == "running" for job in store.jobs.recent(open_only=True)))
    began = time.perf_counter()
    tab.reload(wait_until="commit")
    tab.wait_for_selector('.wn-words[data-kind="drawing"], .wn-take-coming')
    took = time.perf_counter() - began
    for job in store.jobs.recent(open_only=True):
        store.jobs.cancel(job.id)
    until(lambda: not store.jobs.recent(open_only=True))
    return took


def story_map(tab: Any, link: str, story: tuple[str, str], rounds: int) -> tuple[float, float]:
    """(drawing it until it is painted, and from the click): medians."""
    drawn, opened = [], []
    for _ in range(max(2, rounds)):
        tab.goto(f"{link}&story={story[0]}&scene={story[1]}")
        ready(tab)
        tab.wait_for_selector(".wn-map-open")
        began, took, count = tab.evaluate(
            """async () => {
              const from = performance.now();
              document.querySelector(".wn-map-open").click();
              while (!performance.getEntriesByName("wn-map").length) await new Promise(requestAnimationFrame);
              const [drawing] = performance.getEntriesByName("wn-map");
              const nodes = document.querySelectorAll(".wn-map-node").length;
              return [drawing.startTime + drawing.duration - from, drawing.duration, nodes];
            }"""
        )
        if count != SCENES:
            raise page.PageDidNotStart(f"the map drew {count} of {SCENES} scenes")
        drawn.append(took / 1000)
        opened.append(began / 1000)
    return statistics.median(drawn), statistics.median(opened)


# in the store -------------------------------------------------------------------------------------------------------


def independence(rounds: int) -> dict[str, Any]:
    """The path to a scene and its children, alone and with 10,000 scenes in other stories: the same work.

    Two stores are asked in turns, so that a machine that grows slower slows both down.
    """
    with tempfile.TemporaryDirectory(prefix="whatnext-bench-") as folder:
        alone, among = (Asked(Path(folder) / name) for name in ("alone", "among"))
        for _ in range(ELSEWHERE // 200):
            a_great_story(among.store, 200, 20)
        pairs = [(among.ask(), alone.ask()) for _ in range(60 * rounds + 10)][10:]
        for each in (alone, among):
            each.store.close()
    values, peers = zip(*pairs, strict=True)
    ratio, noise = paired_ratio(list(values), list(peers))
    return {
        "what": f"path and children of a scene, with {ELSEWHERE} scenes in other stories",
        "value": round(statistics.median(values), 3),
        "unit": "ms",
        "peer": "the same story alone",
        "peer_value": round(statistics.median(peers), 3),
        "ratio": round(ratio, 3),
        "bar": 1.5,
        "ok": ratio <= 1.5 + noise,
    }


class Asked:
    """A store with a small story, of which a scene is asked."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(Settings(folder))
        _, self.scene = a_great_story(self.store, 60, 5)
        self.stories = self.store.stories(self.store.local_owner())

    def ask(self) -> float:
        """Milliseconds."""
        began = time.perf_counter()
        self.stories.path_to(self.scene)
        self.stories.children(self.scene)
        return (time.perf_counter() - began) * 1000


def a_great_story(store: Store, scenes: int, branches: int) -> tuple[str, str]:
    """A trunk with `branches` ways that leave it, all scenes drawn; returns (story, the trunk's last scene)."""
    owner = store.local_owner()
    thumbs = [store.media.put_file(path, width=160, height=96) for path in thumbnails(store.settings.run_dir)]
    trunk = scenes // 5
    with store.database.transaction() as session:
        story = StoryRow(owner_id=owner, title=f"A story of {scenes} scenes")
        session.add(story)
        session.flush()
        made: list[SceneRow] = []
        last: dict[int, SceneRow] = {}  # of each branch
        for number in range(scenes):
            way = (number - trunk) % branches
            parent = (made[number - 1] if number else None) if number < trunk else last.get(way, made[way % trunk])
            row = SceneRow(
                story_id=story.id,
                parent_id=parent.id if parent else None,
                kind="next" if parent else "begin",
                mode="continue" if parent else "cut",
                depth=parent.depth + 1 if parent else 0,
                position=0 if number < trunk else 1,
                words=f"Scene {number}: the purple seed sprouts while it rains.",
            )
            made.append(row)
            session.add(row)
            if number >= trunk:
                last[way] = row
        session.flush()
        takes = [
            TakeRow(scene_id=row.id, number=1, chosen=True, width=160, height=96, frame_count=17, fps=8) for row in made
        ]
        session.add_all(takes)
        session.flush()
        for number, take in enumerate(takes):
            store.media.link(session, thumbs[number % len(thumbs)], "thumb", owner_id=owner, take_id=take.id)
        story.head_scene_id = made[trunk - 1].id
        session.flush()
        return story.id, made[trunk - 1].id


def thumbnails(folder: Path, count: int = 24) -> list[Path]:
    paths = []
    for number in range(count):
        shade = np.full((96, 160, 3), (number * 10, 255 - number * 10, 128), dtype=np.uint8)
        shade[number : number + 40, number * 3 : number * 3 + 50] = 250
        paths.append(folder / f"thumb-{number}.webp")
        if not paths[-1].exists():
            Image.fromarray(shade).save(paths[-1])
    return paths


# the rest -----------------------------------------------------------------------------------------------------------


@contextmanager
def chromium() -> Iterator[Any]:
    executable = find_chromium()
    if executable is None:
        raise NoBrowser("no Chromium on this machine")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        try:
            yield browser
        except Error as error:
            raise NoBrowser(str(error).splitlines()[0]) from error
        finally:
            browser.close()


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def until(question: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not question():
        if time.monotonic() > deadline:
            raise page.PageDidNotStart("the page's worker did not do what it was asked")
        time.sleep(0.02)


if __name__ == "__main__":
    print(json.dumps({"rows": [independence(3)]}, indent=1))
