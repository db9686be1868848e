"""Sets of overrides, drawn by hypothesis."""

from hypothesis import strategies as st

from detour.overrides import Kind, Override, Overrides, Values

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
VALUES = {
    Values.NAME: NAMES,
    Values.DELAY: st.sampled_from(["0ms", "300ms", "1.5s", "60s"]),
    Values.STATUS: st.sampled_from(["0", "16", "200", "599"]),
    Values.TEXT: st.text(max_size=20),
    Values.BASELINE: st.just("baseline"),
}
OVERRIDES = st.one_of(
    st.builds(Override, st.just(kind), NAMES if kind.subject else st.just(""), VALUES[kind.values]) for kind in Kind
)
SETS = st.lists(OVERRIDES, max_size=20).map(Overrides.collect)
