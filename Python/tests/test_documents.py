"""Runs every example of docs/PYTHON.md on two ranks."""

import os
import pathlib
import re
import unittest

from .ranks import run

DOCUMENT = pathlib.Path(os.environ["TUTTI_PYTHON_DOCUMENT"])


def examples(communicator):
    import numpy

    import tutti

    found = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    scope = {"communicator": communicator, "numpy": numpy, "tutti": tutti}
    for number, text in enumerate(found):
        if "Communicator.join" not in text:
            exec(compile(text, f"{DOCUMENT.name}, example {number + 1}", "exec"), scope)
            communicator.barrier()
    return len(found)


class DocumentTests(unittest.TestCase):
    def test_examples(self):
        for count in run(2, examples).values():
            self.assertGreater(count, 8)
