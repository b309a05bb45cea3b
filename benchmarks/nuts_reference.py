"""Posterior means and predictive distributions of two softmax regressions by a long run of NUTS.

    pip install numpyro && python benchmarks/nuts_reference.py tests/fit/nuts.json [PROBLEM ...]

What tests/fit/test_bayes.py holds BayesianSoftmaxRegression to. The priors are its defaults:
normal, standard deviation 1 for coefficients of standardised features, 10 for intercepts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

CHAINS, WARM_UP, DRAWS = 4, 700, 2500
HELD = 40


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """The 20 pixels of the digits that vary most."""
    X, y = load_digits(return_X_y=True)
    most = np.sort(np.argsort(-X.var(axis=0), kind="stable")[:20])
    return StandardScaler().fit_transform(X[:, most]), y


def components() -> tuple[np.ndarray, np.ndarray]:
    """Their first 20 principal components, by which the classes can nearly be told apart."""
    X, y = load_digits(return_X_y=True)
    found = PCA(20, random_state=0).fit_transform(StandardScaler().fit_transform(X))
    return StandardScaler().fit_transform(found), y


def model(X: jnp.ndarray, y: jnp.ndarray, scores: int) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1).expand([X.shape[1], scores]).to_event(2))
    b = numpyro.sample("b", dist.Normal(0, 10).expand([scores]).to_event(1))
    z = X @ w + b
    z = jnp.concatenate([jnp.zeros((len(X), 1)), z], axis=1) if scores == 1 else z
    numpyro.sample("y", dist.Categorical(logits=z), obs=y)


def reference(X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    k = int(y.max()) + 1
    scores = 1 if k == 2 else k
    held = np.linspace(0, len(X) - 1, HELD).astype(int)
    run = numpyro.infer.MCMC(
        numpyro.infer.NUTS(model),
        num_warmup=WARM_UP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    run.run(jax.random.PRNGKey(0), jnp.asarray(X), jnp.asarray(y), scores)
    chains = run.get_samples(group_by_chain=True)
    w = np.concatenate([chains["w"], chains["b"][:, :, None, :]], axis=2)
    flat = w.reshape(-1, *w.shape[2:])
    z = np.einsum("nd,tds->tns", np.column_stack([X[held], np.ones(HELD)]), flat)
    if scores == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=2)
    z -= z.max(axis=2, keepdims=True)
    law = np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)
    return {
        "mean": flat.mean(axis=0).round(6).tolist(),
        "sd": flat.std(axis=0).round(6).tolist(),
        "rows": held.tolist(),
        "predictive": law.mean(axis=0).round(6).tolist(),
        "least_effective_draws": float(np.min(effective_sample_size(w))),
        "largest_r_hat": float(np.max(split_gelman_rubin(w))),
    }


def main() -> None:
    jax.config.update("jax_enable_x64", val=True)
    problems = {f.__name__: f for f in (breast_cancer, pixels, components)}
    place = Path(sys.argv[1])
    found = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    for name in sys.argv[2:] or problems:
        found[name] = reference(*problems[name]())
    found["made_by"] = {
        "script": "benchmarks/nuts_reference.py",
        "numpyro": numpyro.__version__,
        "jax": jax.__version__,
        "chains": CHAINS,
        "draws": DRAWS,
    }
    place.write_text(json.dumps(found) + "\n", encoding="utf-8")
    for name in problems:
        print(name, {key: found[name][key] for key in ("least_effective_draws", "largest_r_hat")})


if __name__ == "__main__":
    main()
