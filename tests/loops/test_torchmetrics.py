"""In a LightningModule, and as the Metric that torchmetrics takes it for."""

import copy
import multiprocessing
import pickle
import socket
import warnings

import numpy as np
import pytest

import pandq
from pandq import InputError
from tests.loops.truth import apart

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")

from pandq.loops import AuditMetric  # noqa: E402 - needs torchmetrics
from pandq.torch import Labels, Logits  # noqa: E402

N, CLASSES = 203, 4


def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, CLASSES))
    return torch.tensor(rng.integers(CLASSES, size=N)), torch.tensor(x, dtype=torch.float32)


def fed(metric, size=32):
    y, x = rows()
    for start in range(0, N, size):
        metric.update(Labels(y[start : start + size]), Logits(x[start : start + size]))
    return metric


def wanted():
    y, x = rows()
    return pandq.audit(pandq.Labels(y), pandq.Logits(x))


# ---------------------------------------------------------------------------------- as a Metric


def test_what_is_computed_are_floats_of_all_rows_and_the_whole_audit_stays():
    metric = fed(AuditMetric(prefix="val_"))
    told = metric.compute()
    assert told == pytest.approx({f"val_{k}": v for k, v in wanted().values().items()}, rel=1e-12)
    assert all(type(x) is float for x in told.values())
    metric.reset()
    assert metric.auditor.n == metric.update_count == 0
    assert apart(wanted().to_dict(), metric.found.to_dict()) <= 1e-12


def test_what_was_computed_is_computed_again_once_more_has_come():
    metric = fed(AuditMetric())
    assert metric.compute() is metric.compute()
    fed(metric)
    assert metric.compute()["cross_entropy"] == pytest.approx(wanted().cross_entropy.value)
    assert metric.found.n == 2 * N


def test_a_step_has_the_numbers_of_its_batch_alone():
    y, x = rows()
    metric = AuditMetric()
    for some in (slice(0, 100), slice(100, N)):
        told = metric(Labels(y[some]), Logits(x[some]))
        loss = torch.nn.functional.cross_entropy(x[some], y[some])
        assert told["cross_entropy"] == pytest.approx(loss.item(), rel=1e-6)
    assert metric(Labels(y[:0]), Logits(x[:0])) == {}
    assert metric.compute()["cross_entropy"] == pytest.approx(wanted().cross_entropy.value)


def test_a_comparer_is_held_as_well():
    y, x = rows()
    metric = AuditMetric(pandq.Comparer(names=["old", "new"], decompose=False))
    metric.update(Labels(y), Logits(x), Logits(2 * x))
    difference = pandq.compare(
        pandq.Labels(y), pandq.Logits(x), pandq.Logits(2 * x), decompose=False
    ).differences[0]
    told = metric.compute()["new less old.cross_entropy"]
    assert told == pytest.approx(difference.cross_entropy.value, rel=1e-12)


def test_it_goes_along_with_torchs_own_metrics():
    y, x = rows()
    collection = torchmetrics.MetricCollection({"a": AuditMetric(), "b": AuditMetric()})
    collection.update(Labels(y), Logits(x))
    told = collection.compute()
    assert {"a_cross_entropy", "b_kl.low"} <= set(told)
    accuracy = torchmetrics.classification.MulticlassAccuracy(CLASSES, average="micro")(x, y)
    assert told["a_accuracy"] == pytest.approx(accuracy.item(), rel=1e-6)


def test_copies_and_pickles_go_on_alone():
    metric = fed(AuditMetric())
    for there in (metric.clone(), copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):  # noqa: S301
        fed(there)
        there.compute()
        assert there.found.n == 2 * N
    metric.to(torch.float16).compute()
    assert metric.found.n == N


def test_without_rows_there_is_nothing_to_compute():
    metric = AuditMetric()
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(InputError, match="no rows have come"),
    ):
        metric.compute()


def test_a_bad_batch_is_refused_and_leaves_no_trace():
    y, x = rows()
    metric = fed(AuditMetric())
    for views, words in (
        ((Labels(y.clamp(max=2)), Logits(x[:, :3])), "another number of classes"),
        ((Labels(y[:5]), Logits(x)), "different numbers of rows"),
        ((y, x), "must say what its numbers mean"),
    ):
        for call in (metric.update, metric):
            with pytest.raises((InputError, TypeError), match=words):
                call(*views)
    assert metric.auditor.n == N


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (3, {}, "feeds an Auditor or a Comparer"),
        (pandq.Auditor, {}, "feeds an Auditor or a Comparer"),
        (None, {"prefix": 3}, "prefix is text"),
    ],
    ids=str,
)
def test_what_it_cannot_hold_is_refused(given, options, words):
    with pytest.raises(InputError, match=words):
        AuditMetric(given, **options)


# -------------------------------------------------------------------------- in several processes


def process(rank, port, queue):
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    try:
        y, x = rows()
        metric = AuditMetric()
        mine = slice(0, 150) if rank == 0 else slice(150, N)
        metric.update(Labels(y[mine]), Logits(x[mine]))
        told = metric.compute()
        alone = AuditMetric(copy.copy(metric.auditor), sync_on_compute=False)
        alone.update(Labels(y[:0]), Logits(x[:0]))
        alone.compute()
        # what was gathered is nobody's state: more may come
        queue.put((rank, told, metric.found.to_dict(), metric.auditor.n, alone.found.n))
    finally:
        torch.distributed.destroy_process_group()


def test_processes_compute_what_all_rows_say():
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = context.Queue()
    ranks = [context.Process(target=process, args=(rank, port, queue)) for rank in range(2)]
    for one in ranks:
        one.start()
    found = {rank: more for rank, *more in (queue.get(timeout=300) for _ in ranks)}
    for one in ranks:
        one.join()
    for rank, (told, document, held, alone) in found.items():
        assert told == pytest.approx(wanted().values(), rel=1e-12)
        assert apart(wanted().to_dict(), document) <= 1e-12
        assert held == alone == (150, 53)[rank]


# ----------------------------------------------------------------------------------- in Lightning


@pytest.fixture(scope="module")
def lightning():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' own deprecations
        return pytest.importorskip("lightning")


def test_a_module_logs_each_epoch_of_its_own_rows(lightning, tmp_path):
    y, x = rows()
    logged, sizes = [], []

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Linear(CLASSES, CLASSES)
            self.audit = AuditMetric(pandq.Auditor(decompose=False), prefix="val_")

        def training_step(self, batch):
            return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def validation_step(self, batch):
            self.audit.update(Labels(batch[1]), Logits(self.model(batch[0])))

        def on_validation_epoch_end(self):
            self.log_dict(self.audit.compute())
            self.audit.reset()
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(self.model(x), y).item()
            logged.append((self.trainer.sanity_checking, loss))
            sizes.append(self.audit.found.n)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.5)

    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=48)
    module, seen = Module(), []

    class Watch(lightning.Callback):
        def on_validation_end(self, trainer, pl_module):
            seen.append(dict(trainer.callback_metrics))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of workers and of intervals between logs
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            callbacks=[Watch()],
        )
        trainer.fit(module, loader, loader)
    assert sizes == [96, N, N]  # two batches to see that it runs, and two epochs
    epochs = [told for told in seen if told]
    losses = [loss for trial, loss in logged if not trial]
    assert losses[0] != losses[1]
    for told, loss in zip(epochs[-2:], losses, strict=True):
        assert told["val_cross_entropy"].item() == pytest.approx(loss, rel=1e-5)
        assert told["val_cross_entropy.low"] < told["val_cross_entropy"]
