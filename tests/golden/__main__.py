"""Write every document of this folder anew."""

from tests.golden.documents import DOCUMENTS, write

for name in DOCUMENTS:
    write(name)
