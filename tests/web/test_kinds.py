"""The kinds of overrides as the page knows them, against the table that all languages share."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Page

VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/kinds.json").read_text(encoding="utf-8"))

READ = """
async (vectors) => {
  const source = document.querySelector('link[href$="/overrides.js"]').href;
  const { KINDS, faultsOf, keyOf, parseWords, wordOf } = await import(source);
  const row = (vector, value) => ({ kind: vector.kind, subject: vector.subject && "users", value });
  const wrong = (one) => { const said = faultsOf(one, { services: [] }); return said.subject || said.value; };
  const again = (one) => parseWords(`override.${keyOf(one)}=${encodeURIComponent(one.value)},a=b`).rows;
  return {
    kinds: Object.entries(KINDS).map(([kind, { subject }]) => [kind, subject]),
    refused: vectors.flatMap((one) => one.accepted.filter((value) => wrong(row(one, value)))),
    accepted: vectors.flatMap((one) => one.refused.filter((value) => !wrong(row(one, value)))),
    // What a person sees of each kind, and whether the page reads again what it writes.
    silent: Object.entries(KINDS).filter(([, { words, joint, example }]) => !(words && joint && example)),
    lost: vectors.filter(({ subject, accepted: [value], kind }) => {
      const one = { kind, subject: subject && "users", value };
      return JSON.stringify(parseWords(wordOf(one)).rows) !== JSON.stringify([one])
        || JSON.stringify(again(one)) !== JSON.stringify([one]);
    }),
  };
}
"""


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_knows_the_kinds_of_the_table(page: Page) -> None:
    """The same kinds and subjects; it accepts what every reader accepts, and no more."""
    assert await page.evaluate(READ, VECTORS) == {
        "kinds": [[one["kind"], one["subject"]] for one in VECTORS],
        "refused": [],
        "accepted": [],
        "silent": [],
        "lost": [],
    }
