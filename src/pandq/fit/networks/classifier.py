"""NetworkClassifier: any torch module that returns logits, fitted to any P by its divergence."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pandq.core.checks import unmasked
from pandq.core.hashing import hash_ids
from pandq.core.laws import Law
from pandq.errors import InputError
from pandq.fit.networks.devices import device_of, torch_itself, try_out
from pandq.fit.networks.training import Options, logits_of, train
from pandq.fit.targets import Data, Targets, view_or_array
from pandq.views import View

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import ArrayLike, NDArray

    from pandq.fit.networks.snapshots import Checkpoint
    from pandq.recalibrator import Recalibrator

    Floats = NDArray[np.float64]

Augmentation = Literal["none", "flip", "crop", "flip-crop"]


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network fitted to labels, votes or soft labels by minimising KL(P||Q), with AdamW.

    Rows set aside watch the training: the epoch is kept whose KL on them is least after
    recalibration (refine first), and its recalibration is applied to what is predicted (calibrate
    after). Under torchrun the processes share each batch, with the result of one process; layers
    that look across a batch, such as batch normalisation, would break that.

    Args:
        module: a torch.nn.Module that returns logits (n, K), copied before it is trained; or "mlp"
            for features in columns, "cnn" for pictures (n, height, width, channels).
        epochs: passes over the rows; the learning rate falls to 0 over them along a cosine.
        batch_size: rows of a step, over all processes together.
        lr: highest learning rate.
        weight_decay: of matrices, decoupled.
        valid: share of the rows that is set aside, chosen by the seed; 0 for none.
        patience: stop after so many epochs without a better one; None for never.
        calibrate: whether predictions are recalibrated.
        augment: of pictures: "none", "flip", "crop", "flip-crop", or a function of a batch of
            features and a torch.Generator.
        random_state: seed of the weights of "mlp" and "cnn", of the order of rows, of everything.
        device: "auto", or as torch names it.
        checkpoint: a folder that keeps the state after each epoch; a run that was killed goes on
            from there, to the same result.
        callback: called with each epoch's row of the curve.

    Attributes:
        classes_: (K,) class labels.
        module_: the trained module.
        curve_: one dict per epoch: cross entropy, floor and KL of both sets of rows, in nats.
        best_epoch_: the epoch whose weights were kept, from 1.
        n_iter_: epochs that were trained.
        recalibrator_: the temperature map, or None.

    Source: Loshchilov and Hutter 2019 (AdamW); Berta, Holzmueller, Jordan and Bach 2025 (refine,
        then calibrate).

    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = NetworkClassifier("mlp", epochs=20, lr=0.01).fit(X, X[:, 0] > 0)
    >>> bool(model.score(X, X[:, 0] > 0) > 0.9)
    True
    """

    def __init__(
        self,
        module: Any = "mlp",
        *,
        epochs: int = 30,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        valid: float = 0.1,
        patience: int | None = 10,
        calibrate: bool = True,
        augment: Augmentation | Callable[[Any, Any], Any] = "none",
        random_state: int = 0,
        device: str = "auto",
        checkpoint: str | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.module = module
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.valid = valid
        self.patience = patience
        self.calibrate = calibrate
        self.augment = augment
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint
        self.callback = callback

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> Self:
        """Fit to labels, to an (n, K) matrix of soft labels, or to a view.

        Args:
            X: (n, d) features, or (n, ...) whatever the module takes; floats become float32.
            y: (n,) labels of any kind; (n, K) probabilities; or a view of n rows.
            sample_weight: (n,) not negative.
            validation: X and y of rows to watch, instead of a share of these.

        Returns:
            Itself.

        Raises:
            InputError: P or the options cannot be used, or the loss is not finite.
            MissingLibraryError: torch is not installed.
            ValueError: features or labels that scikit-learn's conventions refuse.
        """
        torch = torch_itself()
        options = self._options()
        X, targets = self._checked(X, y)
        w = None
        if sample_weight is not None:
            w = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_ = targets.classes
        data = Data(X, targets, w)
        watched = None
        if validation is not None:
            x, p = validation
            watched = Data(self._features(x), self._same_classes(p))
            _same_length(watched)
        else:
            data, watched = self._parted(data)
        device = device_of(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            module = self._module(torch, data)
            checkpoint = self._checkpoint(options, module, data, watched)
            module.to(device)
            try_out(module, data, device)
            curve, recalibrator = train(
                module,
                data,
                watched,
                options,
                device=device,
                augment=self._augments(X),
                checkpoint=checkpoint,
                callback=self.callback,
            )
        self.module_ = module.eval()
        self.curve_ = curve
        scores = [row.get("valid_kl_recalibrated", -row["epoch"]) for row in curve]
        self.best_epoch_ = 1 + int(np.argmin(scores))
        self.n_iter_ = len(curve)
        self.recalibrator_ = recalibrator if self.calibrate else None
        return self

    def decision_function(self, X: Any) -> Floats:
        """Logits: (n, K), or (n,) log-odds of the second class for two; not recalibrated."""
        z = self._logits(X)
        return z[:, 1] - z[:, 0] if z.shape[1] == 2 else z

    def predict_log_proba(self, X: Any) -> Floats:
        """Log-probabilities, (n, K) nats."""
        log_q = Law.from_logits(self._logits(X)).log_prob
        return log_q if self.recalibrator_ is None else self.recalibrator_.apply(log_q)

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities, (n, K)."""
        found: Floats = np.exp(self.predict_log_proba(X))
        return found

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        places = self._logits(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[places]
        return labels

    def features(self, X: Any) -> Floats:
        """What the last linear layer sees of each row, (n, d) float64.

        Raises:
            InputError: the module has no linear layer.
        """
        torch = torch_itself()
        check_is_fitted(self)
        layers = [m for m in self.module_.modules() if isinstance(m, torch.nn.Linear)]
        if not layers:
            raise InputError(what="the module has no linear layer, whose input features would be")
        seen: list[Any] = []
        hook = layers[-1].register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].detach().cpu().double().numpy())
        )
        try:
            self._logits(X)
        finally:
            hook.remove()
        found: Floats = np.concatenate(seen)
        return found

    def restored(
        self,
        weights: dict[str, Any],
        shape: tuple[int, ...],
        classes: NDArray[Any],
        recalibrator: Recalibrator | None,
    ) -> Self:
        """Fitted, with weights that were kept, for one of the built-in modules.

        Args:
            weights: the module's state by name.
            shape: of one row of features.
            classes: (K,) class labels.
            recalibrator: what is applied to what is predicted.

        Returns:
            Itself.

        Raises:
            RuntimeError: the weights are of another module.
            MissingLibraryError: torch is not installed.
        """
        torch_itself()
        from pandq.fit.networks.modules import built_in

        self.module_ = built_in(self.module, shape, len(classes))
        self.module_.load_state_dict(weights)
        self.module_.eval()
        self.classes_, self.recalibrator_ = classes, recalibrator
        self.n_features_in_ = shape[0]
        return self

    def _logits(self, X: Any) -> Floats:
        check_is_fitted(self)
        device = device_of(self.device)
        return logits_of(self.module_.to(device), self._features(X), device)

    def _features(self, X: Any) -> NDArray[Any]:
        found: NDArray[Any] = validate_data(
            self, X, reset=False, allow_nd=True, dtype="numeric", ensure_min_samples=1
        )
        return found

    def _checked(self, X: Any, y: Any) -> tuple[NDArray[Any], Targets]:
        """Features as they are, and what to fit them to."""
        options: dict[str, Any] = {"allow_nd": True, "dtype": "numeric"}
        if np.ma.is_masked(X):
            X = unmasked("features", X)
        y = view_or_array(y)
        if not isinstance(y, View) and y is not None:
            y = unmasked("y", y)
        if not isinstance(y, View) and (y is None or y.ndim != 2 or y.shape[1] == 1):
            X, y = validate_data(self, X, y, **options)
            check_classification_targets(y)
        else:
            X = validate_data(self, X, **options)
        targets = Targets.of(y)
        targets.require_two_classes()
        _same_length(Data(X, targets))
        return X, targets

    def _same_classes(self, y: Any) -> Targets:
        """What validation rows are to be fitted to, in the classes of the others."""
        y = view_or_array(y)
        if not isinstance(y, View) and np.ndim(y) == 1:
            names = np.asarray(y)
            places = np.searchsorted(self.classes_, names)
            found = np.minimum(places, len(self.classes_) - 1)
            if (self.classes_[found] != names).any():
                raise InputError(what="validation rows have a class that the others have not")
            return Targets(found, self.classes_)
        targets = Targets.of(y)
        if isinstance(y, View) and y.kind == "labels" and targets.p.max() < len(self.classes_):
            return Targets(targets.p, self.classes_)
        if targets.n_classes != len(self.classes_):
            raise InputError(
                what="validation rows have another number of classes",
                got=f"{targets.n_classes}, not {len(self.classes_)}",
            )
        return Targets(targets.p, self.classes_)

    def _options(self) -> Options:
        checks = {
            "epochs": (self.epochs >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "lr": (0 < self.lr < np.inf, "positive and finite"),
            "weight_decay": (0 <= self.weight_decay < np.inf, "0 or more, and finite"),
            "valid": (0 <= self.valid < 1, "a share from 0 to below 1"),
            "patience": (self.patience is None or self.patience >= 1, "1 or more"),
        }
        for name, (fine, allowed) in checks.items():
            if not fine:
                what = f"{name} is out of range: {allowed}"
                raise InputError(what, got=str(getattr(self, name)))
        seed = int(self.random_state or 0)
        return Options(
            int(self.epochs), int(self.batch_size), self.lr, self.weight_decay, self.patience, seed
        )

    def _parted(self, data: Data) -> tuple[Data, Data | None]:
        """The rows to learn from, and those set aside: at least one of each.

        Raises:
            InputError: there are too few rows for that.
        """
        n = len(data)
        few = round(self.valid * n)
        if not self.valid:
            return data, None
        if not few or n - few < 1:
            raise InputError(
                what=f"of {n} rows a share of {self.valid:g} sets none aside",
                remedy="valid=0 (--valid 0) is to watch none.",
            )
        order = np.argsort(hash_ids(np.arange(n), seed=int(self.random_state or 0)))
        return data[np.sort(order[few:])], data[np.sort(order[:few])]

    def _module(self, torch: Any, data: Data) -> Any:
        from pandq.fit.networks.modules import Standardise, built_in

        if isinstance(self.module, str):
            found = built_in(self.module, data.x.shape[1:], len(self.classes_))
            found[0] = Standardise.of(data.x)
            return found
        if not isinstance(self.module, torch.nn.Module):
            raise InputError(
                what="module must be a torch.nn.Module that returns logits, or mlp or cnn",
                got=type(self.module).__name__,
            )
        own: torch.nn.Module = copy.deepcopy(self.module)
        return own

    def _augments(self, X: NDArray[Any]) -> Any:
        from pandq.fit.networks.modules import AUGMENTS

        if callable(self.augment):
            return (self.augment,)
        if self.augment not in AUGMENTS:
            known = ", ".join(AUGMENTS)
            raise InputError(what="unknown augment", got=repr(self.augment), remedy=f"{known}.")
        if self.augment != "none" and X.ndim != 4:
            raise InputError(
                what=f"augment={self.augment!r} is for pictures, (n, height, width, channels)",
                got=f"shape {X.shape}",
            )
        return AUGMENTS[self.augment]

    def _checkpoint(
        self, options: Options, module: torch.nn.Module, data: Data, watched: Data | None
    ) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        from pandq.fit.networks.snapshots import Checkpoint

        sets = (data,) if watched is None else (data, watched)
        # a function by its name: where it lies in memory is another place in the next process
        augment = getattr(self.augment, "__qualname__", self.augment)
        return Checkpoint.of(self.checkpoint, (options, augment), module, *sets)


def _same_length(data: Data) -> None:
    if len(data.targets) != len(data.x):
        raise InputError(
            what="P and the features have different numbers of rows",
            got=f"{len(data.targets)} and {len(data.x)}",
        )
