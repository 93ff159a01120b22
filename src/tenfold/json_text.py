"""JSON as text that can always be written: names of files that are not UTF-8 stay what they are.

Python holds the byte 0xE9 of such a name as the character U+DCE9. UTF-8 has no form for it, JSON
has one: `\\udce9`. A reader in Python gets the name back.
"""

from __future__ import annotations

import json
from typing import Any


def json_text(value: object, **form: Any) -> str:
    """`value` as JSON. `form` is as for json.dumps. All characters stand for themselves, unless
    one of them cannot be encoded."""
    text = json.dumps(value, ensure_ascii=False, **form)
    return text if is_utf8(text) else json.dumps(value, **form)


def is_utf8(text: str) -> bool:
    """Whether UTF-8 has a form for all of it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
