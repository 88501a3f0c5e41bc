"""User names for requests that conform to the description.

OpenAPI cannot express the profile of user names (RFC 8265 section 3.3). The description names it by
the format `username`; its pattern covers a part of it.
"""

import schemathesis
from hypothesis import strategies as st

# Letters, digits and ASCII punctuation of one writing direction.
CHARACTERS = st.one_of(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E),
    st.sampled_from("äÉøŵΣαжЯあ字한"),
)
PARTS = st.text(CHARACTERS, min_size=1, max_size=12)
SPACES = st.text(" ", max_size=2)


@st.composite
def usernames(draw):
    parts = draw(st.lists(PARTS, min_size=1, max_size=3))
    return draw(SPACES) + " ".join(parts) + draw(SPACES)


schemathesis.openapi.format("username", usernames())
