"""Retrieval: one interface by words and by meaning, over folders that run no code."""

from __future__ import annotations

import json

import pytest

import tools
from distill.index import index, search
from tools.retrieval import LexicalIndex, Passage, open_index, read_passages, write_passages


@pytest.fixture
def corpus(tmp_path, passages):
    write_passages(passages, tmp_path / "corpus.jsonl")
    return tmp_path / "corpus.jsonl"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tokenizer):
    """A two-layer BERT of random weights, saved as an encoder is."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.padding_side = "right"  # as encoders pad; the pocket tokenizer is a decoder's
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_folder_is_made_opened_and_asked(corpus, tmp_path):
    assert index(corpus, tmp_path / "index") == 2
    assert [p.title for p in search(tmp_path / "index", "town on the river", k=5)] == [
        "Lurra",
        "Oba",
    ]
    assert search(tmp_path / "index", "zzz") == []
    assert search(tmp_path / "index", "") == []


def test_words_match_by_their_stem(passages):
    assert LexicalIndex.build(passages).search(["rivers towns"], 1)[0][0].title == "Lurra"


def test_many_queries_at_once_are_each_answered(passages):
    found = LexicalIndex.build(passages).search(["Lurra", "nothing", "311"], 1)
    assert [[p.id for p in hits] for hits in found] == [["1"], [], ["2"]]


def test_by_meaning_the_nearest_passage_is_itself(corpus, encoder, passages, tmp_path):
    index(corpus, tmp_path / "index", encoder=encoder)
    assert (tmp_path / "index" / "index.faiss").is_file()
    retriever = open_index(tmp_path / "index")
    for passage in passages:
        assert retriever.search([passage.contents], 2)[0][0] == passage


def test_an_index_holds_nothing_to_unpickle(corpus, encoder, tmp_path):
    index(corpus, tmp_path / "a")
    index(corpus, tmp_path / "b", encoder=encoder)
    names = {p.name for folder in "ab" for p in (tmp_path / folder).rglob("*")}
    assert not any(name.endswith((".pkl", ".pickle")) for name in names)


def test_a_folder_with_passages_alone_is_opened(corpus, tmp_path, passages):
    write_passages(passages, tmp_path / "f" / "passages.jsonl")
    assert open_index(tmp_path / "f").search(["Oba river"], 1)[0][0].title


def test_a_folder_that_is_no_index_says_how_to_make_one(tmp_path, corpus):
    with pytest.raises(ValueError, match="distill index"):
        open_index(tmp_path / "none")
    index(corpus, tmp_path / "half")
    lines = (tmp_path / "half" / "passages.jsonl").read_text().splitlines()
    (tmp_path / "half" / "passages.jsonl").write_text(lines[0] + "\n")
    with pytest.raises(ValueError, match="half written"):
        open_index(tmp_path / "half")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no passage"),
        ("nope", "line 1"),
        ('{"id": "1"}', "text"),
        ('{"id":"1","text":"a"}\n' * 2, "twice"),
        ("[]", "line 1"),
    ],
)
def test_a_bad_corpus_is_told_with_its_place(tmp_path, text, says):
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(ValueError, match=says):
        list(read_passages(tmp_path / "c.jsonl"))


def test_the_published_corpus_format_is_read(tmp_path):
    (tmp_path / "c.jsonl").write_text(json.dumps({"id": "7", "contents": '"A title"\nA text.'}))
    assert list(read_passages(tmp_path / "c.jsonl")) == [
        Passage(id="7", title="A title", text="A text.")
    ]


def test_a_tool_is_found_by_name_or_by_file(tmp_path, tool):
    assert tools.available() == ["web_search", "wiki_search"]
    assert "Lurra is a town" in tool(query="Lurra") and tool("zzz") == "No article found."
    with pytest.raises(ValueError, match="there are: web_search, wiki_search"):
        tools.load("wiki_serch")
    with pytest.raises(ValueError, match="cannot be made"):
        tools.load("wiki_search", colour="red")
    file = tmp_path / "shout.py"
    file.write_text(
        "from smolagents import tool\n\n@tool\ndef shout(text: str) -> str:\n"
        '    """Say it loud.\n\n    Args:\n        text: what to say\n    """\n    return text.upper()\n'
    )
    assert tools.load(str(file))("hey") == "HEY"
    (tmp_path / "none.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="defines no tool"):
        tools.load(str(tmp_path / "none.py"))


def test_the_search_tool_opens_a_folder_at_its_first_call(corpus, tmp_path):
    index(corpus, tmp_path / "index")
    assert "Oba" in tools.load("wiki_search", index=tmp_path / "index", k=1)("river of 311 km")
