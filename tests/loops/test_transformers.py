"""In transformers' Trainer: real models, made here, against losses by hand."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import pandq
from pandq import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it says of libraries that it finds or misses
    transformers = pytest.importorskip("transformers")

from pandq.loops import TrainerAudit  # noqa: E402 - needs torch

VOCABULARY, CLASSES, LONGEST = 40, 5, 12
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": LONGEST, "vocab_size": VOCABULARY}
TINY |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "num_labels": CLASSES}


def sequences(n, seed=0):
    """Texts of different lengths."""
    rng = np.random.default_rng(seed)
    return [rng.integers(1, VOCABULARY, size=size) for size in rng.integers(3, LONGEST, size=n)]


def padded(x, size, value, side):
    gap = [value] * (size - len(x))
    return [*gap, *x] if side == "left" else [*x, *gap]


def collated(rows, side="right"):
    """A batch as long as its longest row, as transformers' own collators make them."""
    size = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {
        name: torch.tensor(
            [padded(row[name], size, fill[name], side) for row in rows]
            if np.ndim(rows[0][name])
            else [row[name] for row in rows]
        )
        for name in rows[0]
    }


def rows_of(texts, labels=None):
    """What a collator is given."""
    return [
        {"input_ids": list(x), "attention_mask": [1] * len(x), "labels": y}
        for x, y in zip(texts, map(list, texts) if labels is None else labels, strict=True)
    ]


def model_of(kind):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(transformers, kind)(transformers.GPT2Config(**TINY))
    # an untrained head is nearly uniform
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model.eval()


def trainer_of(folder, model, rows, metrics, *, side="right", **arguments):
    given = {"per_device_eval_batch_size": 5, "report_to": "none", "use_cpu": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=str(folder), disable_tqdm=True, **(given | arguments)
            ),
            data_collator=lambda rows: collated(rows, side),
            eval_dataset=rows,
            compute_metrics=metrics,
        )


def evaluated(trainer):
    with warnings.catch_warnings():
        # torch's loader, of pinned memory without a card
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        return trainer.evaluate()


def losses_by_hand(model, texts):
    """Each token's loss but the first's, of one text after the other, without any padding."""
    losses = []
    for text in texts:
        x = torch.tensor(text)[None]
        with torch.no_grad():
            log_prob = torch.log_softmax(model(input_ids=x).logits[0].double(), -1)
        losses.append([-log_prob[t - 1, text[t]].item() for t in range(1, len(text))])
    return losses


@pytest.mark.parametrize(
    ("side", "arguments"),
    [
        ("right", {"batch_eval_metrics": True}),
        ("right", {"batch_eval_metrics": True, "include_for_metrics": ["inputs"]}),
        ("left", {"batch_eval_metrics": True, "include_for_metrics": ["inputs"]}),
        ("right", {"batch_eval_metrics": False}),
    ],
    ids=str,
)
def test_a_causal_model_has_the_loss_by_hand(tmp_path, side, arguments):
    texts, model = sequences(23), model_of("GPT2LMHeadModel")
    metrics = TrainerAudit(pandq.Auditor(level=0.9), shift=True)
    trainer = trainer_of(tmp_path, model, rows_of(texts), metrics, side=side, **arguments)
    told = evaluated(trainer)
    # padding on the left moves places, and with them what this model says
    hand = losses_by_hand(model, texts) if side == "right" else losses_of_batches(model, texts)
    loss = np.concatenate(hand)
    assert metrics.found.n == len(loss)
    assert told["eval_cross_entropy"] == pytest.approx(loss.mean(), rel=1e-5)
    assert told["eval_loss"] != pytest.approx(loss.mean(), rel=1e-5)  # a mean of batches' means
    assert metrics.found.level == 0.9
    assert "23 clusters" in metrics.found.cross_entropy.method
    # how far the mean moves where one text after the other is left out
    without = [np.concatenate(hand[:i] + hand[i + 1 :]).mean() for i in range(23)]
    error = np.sqrt(22 / 23 * np.sum((without - loss.mean()) ** 2))
    assert metrics.found.cross_entropy.standard_error == pytest.approx(error, rel=1e-4)


def losses_of_batches(model, texts):
    """The same, of batches that are padded on the left."""
    losses = []
    for start in range(0, len(texts), 5):
        some = texts[start : start + 5]
        batch = collated(rows_of(some), "left")
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        log_prob = torch.log_softmax(logits.logits.double(), -1)
        size = log_prob.shape[1]
        for row, text in enumerate(some):
            gap = size - len(text)
            losses.append(
                [-log_prob[row, gap + t - 1, text[t]].item() for t in range(1, len(text))]
            )
    return losses


def test_what_the_trainer_logs_are_floats_under_its_prefix(tmp_path):
    metrics = TrainerAudit(shift=True)
    trainer = trainer_of(
        tmp_path,
        model_of("GPT2LMHeadModel"),
        rows_of(sequences(12)),
        metrics,
        batch_eval_metrics=True,
    )
    told = evaluated(trainer)
    logged = trainer.state.log_history[-1]
    for name, value in metrics.found.values().items():
        assert type(told[f"eval_{name}"]) is float
        assert logged[f"eval_{name}"] == value
    assert {"eval_accuracy", "eval_cross_entropy.low"} <= set(logged)


def test_each_evaluation_is_of_its_own_rows(tmp_path):
    metrics = TrainerAudit(shift=True)
    texts, model = sequences(12), model_of("GPT2LMHeadModel")
    trainer = trainer_of(tmp_path, model, rows_of(texts), metrics, batch_eval_metrics=True)
    first = evaluated(trainer)
    assert evaluated(trainer)["eval_cross_entropy"] == first["eval_cross_entropy"]
    assert metrics.found.n == sum(len(x) - 1 for x in texts)


def test_token_classification_is_at_its_own_place_and_sequences_are_clusters(tmp_path):
    model = model_of("GPT2ForTokenClassification")
    texts = sequences(17, seed=1)
    rng = np.random.default_rng(2)
    tags = [np.where(rng.random(len(x)) < 0.2, -100, x % CLASSES) for x in texts]
    metrics = TrainerAudit(shift=False)
    trainer = trainer_of(tmp_path, model, rows_of(texts, tags), metrics, batch_eval_metrics=True)
    told = evaluated(trainer)
    loss = []
    for text, tag in zip(texts, tags, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(text)[None]).logits[0].double()
        log_prob = torch.log_softmax(logits, -1).numpy()
        loss += [-log_prob[t, y] for t, y in enumerate(tag) if y >= 0]
    assert metrics.found.n == len(loss)
    assert told["eval_cross_entropy"] == pytest.approx(np.mean(loss), rel=1e-5)
    assert "17 clusters" in metrics.found.cross_entropy.method


def test_sequence_classification_is_an_audit_of_its_rows(tmp_path):
    model = model_of("GPT2ForSequenceClassification")
    texts = sequences(31, seed=3)
    y = np.arange(31) % CLASSES
    metrics = TrainerAudit(pandq.Auditor(decompose=False))
    trainer = trainer_of(
        tmp_path, model, rows_of(texts, y.tolist()), metrics, batch_eval_metrics=True
    )
    told = evaluated(trainer)
    logits = []
    for text in texts:
        with torch.no_grad():
            logits.append(model(input_ids=torch.tensor(text)[None]).logits[0].numpy())
    wanted = pandq.audit(pandq.Labels(y), pandq.Logits(np.array(logits)), decompose=False).values()
    assert {name: told[f"eval_{name}"] for name in wanted} == pytest.approx(wanted, abs=2e-5)
    assert metrics.found.n_classes == CLASSES


# ---------------------------------------------------------------------------------- bad batches


def given(logits, labels):
    return SimpleNamespace(predictions=logits, label_ids=labels)


WHOLE = torch.zeros(2, 3, dtype=torch.long)


@pytest.mark.parametrize(
    ("options", "logits", "labels", "words"),
    [
        ({}, torch.zeros(2, 3, 4), WHOLE, "shift is not said"),
        ({"shift": True}, torch.zeros(2, 4), torch.tensor([0, 1]), "shift is about sequences"),
        ({}, torch.zeros(2, 1), torch.zeros(2), "labels are whole numbers"),
        ({}, torch.zeros(2, 4), torch.zeros(2, 4), "labels are whole numbers"),
        ({}, torch.zeros(2, 4), torch.tensor([0]), "logits are \\(n, K\\)"),
        ({}, torch.zeros(2, 4), torch.tensor([0, 4]), "row 1"),
        ({}, torch.zeros(2, 4), None, "one array of labels"),
        ({}, torch.zeros(2, 4), (WHOLE, WHOLE), "one array of labels"),
        ({"shift": True}, torch.zeros(2, 3, 4), WHOLE[:, :2], "labels need"),
        ({}, torch.full((2, 4), torch.nan), torch.tensor([0, 1]), "row 0"),
        ({"shift": True}, torch.zeros(2, 3, 4), torch.full((2, 3), -100), "no rows have come"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_cannot_be_audited_is_refused_and_the_evaluation_forgotten(
    options, logits, labels, words
):
    metrics = TrainerAudit(**options)
    with pytest.raises(InputError, match=words):
        metrics(given(logits, labels), compute_result=True)
    assert metrics.found is None
    assert metrics._auditor.n == 0


def test_a_bad_batch_among_good_ones_begins_again():
    metrics = TrainerAudit(shift=False)
    logits, labels = torch.randn(4, 3, 5), torch.randint(5, (4, 3))
    metrics(given(logits, labels), compute_result=False)
    with pytest.raises(InputError, match="another number of classes"):
        metrics(given(logits[..., :4], labels.clamp(max=3)), compute_result=False)
    metrics(given(logits, labels), compute_result=True)
    assert metrics.found.n == 12


def test_batches_in_which_no_token_counts_count_nothing():
    metrics = TrainerAudit(pandq.Auditor(decompose=False), shift=False)
    logits, labels = torch.randn(4, 3, 5), torch.randint(5, (4, 3))
    metrics(given(logits, torch.full_like(labels, -100)), compute_result=False)
    metrics(given(logits, labels), compute_result=False)
    metrics(given(logits, torch.full_like(labels, -100)), compute_result=True)
    assert metrics.found.n == 12
    assert "4 clusters" in metrics.found.cross_entropy.method


def test_of_several_outputs_the_first_are_the_logits():
    metrics = TrainerAudit(pandq.Auditor(decompose=False))
    logits = torch.randn(4, 5, requires_grad=True)
    y = torch.tensor([0, 1, -100, 4])
    told = metrics(given((logits, torch.zeros(4, 9)), y), compute_result=True)
    wanted = torch.nn.functional.cross_entropy(logits, y)
    assert told["cross_entropy"] == pytest.approx(wanted.item(), rel=1e-6)
    assert metrics.found.n == 3


def test_a_mask_of_another_shape_is_refused():
    """As where a Trainer of several processes has gathered the labels and not the inputs."""
    batch = given(torch.zeros(2, 3, 4), WHOLE)
    batch.inputs = {"attention_mask": torch.ones(1, 3)}
    with pytest.raises(InputError, match="attention_mask needs one value per token"):
        TrainerAudit(shift=True)(batch, compute_result=True)


def test_it_feeds_an_auditor_and_nothing_else():
    with pytest.raises(InputError, match="feeds an Auditor"):
        TrainerAudit(pandq.Comparer())
