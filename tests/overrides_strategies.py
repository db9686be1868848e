"""Sets of overrides, drawn by hypothesis."""

from hypothesis import strategies as st

from detour.overrides import Kind, Override, Overrides

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
OVERRIDES = st.one_of(
    st.builds(Override, st.sampled_from([Kind.ROUTE, Kind.LOG, Kind.DB]), NAMES, NAMES),
    st.builds(Override, st.just(Kind.CONFIG), NAMES, st.text(max_size=20)),
    st.builds(Override, st.just(Kind.DELAY), NAMES, st.sampled_from(["0ms", "300ms", "1.5s", "60s"])),
    st.builds(Override, st.just(Kind.ABORT), NAMES, st.sampled_from(["0", "16", "200", "599"])),
    st.just(Override(Kind.MISSING, "", "baseline")),
)
SETS = st.lists(OVERRIDES, max_size=20).map(Overrides.collect)
