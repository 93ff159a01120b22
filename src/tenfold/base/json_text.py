"""JSON text that can always be written and that no terminal interprets.

Python holds the byte 0xE9 of a file name that is not UTF-8 as the character U+DCE9. UTF-8 has no
form for it, JSON has one: `\\udce9`. A reader in Python gets the name back. Controls, marks that
reorder a line, and tags are escaped in the same way.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
                      "\ud800-\udfff\U000e0000-\U000e0fff]")  # fmt: skip


def json_text(value: object, **form: Any) -> str:
    """`value` as JSON. `form` is as for json.dumps.

    Printable characters stand for themselves.
    """
    text = json.dumps(value, ensure_ascii=False, **form)
    return _ESCAPED.sub(lambda found: json.dumps(found[0])[1:-1], text)


def is_utf8(text: str) -> bool:
    """Whether UTF-8 has a form for all of it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
