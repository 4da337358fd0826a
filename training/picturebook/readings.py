"""Keywords for free phrases: which words name a rule's action, which a kind of thing. Data only."""

from __future__ import annotations

# words that say nothing about which event is meant
_STOP = """
    a an and any as at away be begin begins by can come comes could do does down for from get gets go goes happen
    happens here i in into is it its let lets like little make makes may me move moves must my new next nice now of off
    on one out please should small so some start starts that the then there these this those to turn up want we will
    with would you
"""
STOP_WORDS = frozenset(_STOP.split())

NEGATIONS = frozenset({"not", "never", "no", "without", "nothing", "nobody"})

# word -> kind
KIND_WORDS: dict[str, str] = {
    "seed": "plant", "sprout": "plant", "flower": "plant", "plant": "plant",
    "bird": "bird", "egg": "bird", "chick": "bird", "snowman": "snowman",
    "puddle": "puddle", "ice": "puddle", "duck": "puddle", "frog": "puddle", "ball": "ball",
    "blocks": "blocks", "tower": "blocks", "candle": "candle", "balloon": "balloon",
    "cat": "cat", "kitty": "cat", "house": "house", "lamp": "house", "box": "box", "bear": "bear",
    "tree": "tree", "apple": "apple", "bee": "bee",
}  # fmt: skip


# things that a sentence may name although the event has no slot for them
BYSTANDERS: dict[str, tuple[str, ...]] = {
    "snowman_melts": ("puddle",),
    "tree_bears": ("bee", "apple"),
    "ball_into_box": ("bear",),
    "ball_from_box": ("bear",),
    "box_opens_empty": ("bear",),
    "cat_startles": ("balloon",),
}


def _ways(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(way.split()) for way in text.split("|"))


# rule -> sets of words; one whole set must be said
ACTIONS: dict[str, tuple[frozenset[str], ...]] = {
    rule: _ways(text)
    for rule, text in {
        "rain_starts": "rain|rains|raining|rainy|wet weather",
        "rain_stops": "rain stop|rain stops|stop raining|stops raining|rain over|rain end|rain ends|clear sky",
        "snow_starts": "snow|snows|snowing|snowy",
        "snow_stops": "snow stop|snow stops|stop snowing|stops snowing|snow over|snow end|snow ends|clear sky",
        "wind_rises": "wind|windy|wind blow|wind blows|wind rises",
        "wind_drops": "wind stop|wind stops|wind drop|wind drops|wind over|wind end|wind ends|calm|clear sky",
        "sunset": "night|sunset|day ends|day over|day end|evening|dark|sun set|sun sets|sun down|night falls",
        "sunrise": "day|sunrise|night ends|night over|night end|morning|sun rise|sun rises|sun up|day begins",
        "snowman_built": "build snowman|builds snowman|make snowman|makes snowman|building snowman",
        "snowman_melts": "snowman melt|snowman melts|snowman melting",
        "puddle_draws_duck": "duck come|duck comes|duck swim|duck swims|duck land|duck lands|duck arrives",
        "puddle_draws_frog": "frog come|frog comes|frog jump|frog jumps|frog arrives",
        "frog_hops_off": "frog leave|frog leaves|frog hop|frog hops|frog away|frog jumps|frog jump|frog goes",
        "duck_leaves": "duck leave|duck leaves|duck away|duck flies|duck fly|duck home",
        "puddle_freezes": "puddle freeze|puddle freezes|water freezes|puddle ice",
        "ice_thaws": "ice thaw|ice thaws|ice melt|ice melts|puddle thaws|puddle thaw",
        "rain_makes_puddle": "puddle appear|puddle appears|puddle form|puddle forms|puddle grows|make puddle",
        "lamp_lights": "lamp on|lamp light|lamp lights|light lamp|lights lamp|lamp glow|lamp glows|lamp lit",
        "lamp_goes_out": "lamp out|lamp off",
        "seed_sprouts": "seed sprout|seed sprouts|seed grow|seed grows|seed growing",
        "sprout_flowers": "sprout flower|sprout bloom|sprout blooms|sprout opens|sprout grow|sprout grows",
        "flower_draws_bee": "bee come|bee comes|bee visit|bee visits|bee arrives|bee flies flower",
        "bee_leaves_rain": "bee leave|bee leaves|bee away|bee home|bee fly|bee flies",
        "flower_closes": "flower close|flower closes|flower shut|flower shuts|flower folds",
        "flower_opens": "flower open|flower opens|flower unfolds",
        "flower_wilts": "flower wilt|flower wilts|flower fades|flower droops",
        "wilted_drops_seed": "drop seed|drops seed|seed falls|seed fall",
        "snow_buries_seed": "bury seed|buries seed|snow covers seed|cover seed|hide seed|hides seed|snow hides seed",
        "seed_reappears": "buried seed|hidden seed|lost seed|seed back|sprout appears|sprout appear",
        "tree_blossoms": "tree blossom|tree blossoms|tree bloom|tree blooms|tree flowers",
        "tree_bears": "tree apples|grow apples|bear apples|bears apples",
        "apple_falls": "apple fall|apple falls|drop apple|drops apple|apple down",
        "tree_bares": "tree bare",
        "egg_cracks": "egg crack|egg cracks|egg break|egg breaks",
        "chick_hatches": "hatch|hatches|chick out|egg opens|egg open|chick born|chick appears",
        "chick_eats_seed": "chick eat|chick eats|chick grow|chick grows|chick becomes bird|chick become bird",
        "bird_flies_off": "bird fly|bird flies|bird away|bird leave|bird leaves|bird off",
        "bird_returns": "bird back|bird flies back|bird fly back|bird comes home|bird return|bird returns|bird home",
        "bird_sleeps": "bird sleep|bird sleeps|bird asleep",
        "bird_wakes": "bird wake|bird wakes|bird awake|wake bird",
        "cat_startles": "cat run|cat runs|scare cat|scares cat|cat flees|cat scared|cat away|cat leaves",
        "cat_returns": "cat back|cat runs back|cat return|cat returns|cat home",
        "cat_sleeps": "cat sleep|cat sleeps|cat asleep",
        "cat_wakes": "cat wake|cat wakes|cat awake|wake cat",
        "cat_chases_bird": "cat chase bird|cat chases bird|chase bird|cat hunts bird|bird flees|cat bird",
        "cat_shelters": "cat inside|cat house|cat hides|cat hide",
        "cat_comes_out": "cat out|cat leaves house|cat leave house|cat outside",
        "bear_sleeps": "bear sleep|bear sleeps|bear asleep",
        "bear_wakes": "bear wake|bear wakes|bear awake|wake bear",
        "bear_shelters": "bear inside|bear house|bear hides|bear hide",
        "bear_comes_out": "bear out|bear leaves house|bear leave house|bear outside",
        "bear_arrives": "bear come|bear comes|bear arrive|bear arrives|bear appears|bear visit|bear visits",
        "bear_eats_apple": "eat apple|eats apple|bear apple|bear eats",
        "ball_topples_blocks": "ball tower|ball blocks|ball hits tower|ball hit tower",
        "cat_topples_blocks": "cat tower|cat blocks|cat knocks tower|cat knock tower",
        "ball_rolls": "ball roll|ball rolls|ball rolling|ball moves|ball move|roll ball",
        "bear_builds": "build tower|builds tower|stack blocks|stacks blocks|build blocks|builds blocks",
        "ball_into_box": "ball into box|ball in box|put away ball|puts away ball",
        "ball_from_box": "ball from box|ball out box|ball back|take out ball|takes out ball",
        "box_opens_empty": "open box|opens box|box open|box opens",
        "box_slams": "close box|closes box|box close|box closes|box shut|box shuts|box slams",
        "balloon_pops": "balloon pop|balloon pops|balloon burst|balloon bursts|pop balloon",
        "balloon_floats_off": "balloon fly|balloon flies|balloon float|balloon floats|balloon away|balloon off",
        "balloon_returns": "balloon back|balloon floats back|balloon flies back|balloon return|balloon returns",
        "rain_douses_candle": "candle out|candle goes out|rain candle|candle dies",
        "wind_douses_candle": "candle out|candle goes out|wind candle|candle dies",
        "bear_lights_candle": "light candle|lights candle|candle burn|candle burns|candle lit|candle on",
        "bear_blows_out": "candle out|blow out candle|blows out candle|candle off",
    }.items()
}
