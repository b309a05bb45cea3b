"""Every document has a schema, which the package has as a file."""

import json
from importlib import resources

import jsonschema
import pytest

from tests.golden.documents import DOCUMENTS as GOLDEN
from tests.golden.documents import kept
from tests.results.schemas import DOCUMENTS, file_of, schema_of, text_of

SCHEMAS = {document.SCHEMA: document for document in DOCUMENTS}
WRITTEN = [name for name in GOLDEN if kept(name).get("schema") in SCHEMAS]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_packages_schema_is_that_of_the_fields(document):
    """Where it is not: python -m tests.results.schemas."""
    packaged = resources.files("pandq.results").joinpath("schemas", file_of(document).name)
    assert packaged.read_text(encoding="utf-8") == text_of(document)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_schema_is_one(document):
    jsonschema.Draft202012Validator.check_schema(schema_of(document))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_golden_document_obeys_its_schema(name):
    document = kept(name)
    jsonschema.validate(document, schema_of(SCHEMAS[document["schema"]]))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_now_obeys_its_schema(name):
    document = json.loads(json.dumps(GOLDEN[name](), allow_nan=False))
    jsonschema.validate(document, schema_of(SCHEMAS[document["schema"]]))


@pytest.mark.parametrize("change", [{"kl": 0.5}, {"level": "95%"}, {"further": 1}, {"n": None}])
def test_another_document_does_not(change):
    document = kept("labels") | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema_of(SCHEMAS[document["schema"]]))


def test_all_documents_are_held_to_a_schema():
    assert len(WRITTEN) == 26
