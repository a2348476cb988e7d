"""Regressions written down plainly, one variant at a time, in float64."""

import numpy as np


def linear(y, fixed, g):
    """Return beta, its error and t over those who have all values; NaN for the missing ones."""
    there = ~(np.isnan(y) | np.isnan(fixed).any(axis=1) | (g < 0))
    x = np.column_stack([np.ones(there.sum()), fixed[there], g[there]])
    inverse = np.linalg.inv(x.T @ x)
    effects = inverse @ (x.T @ y[there])
    left = y[there] - x @ effects
    error = np.sqrt(left @ left / (len(x) - x.shape[1]) * inverse[-1, -1])
    return effects[-1], error, effects[-1] / error


def logistic(y, fixed, g, *, penalty=False, steps=600):
    """Return the log odds ratio, its error and z by Newton's method, with or without Firth's penalty."""
    there = ~(np.isnan(y) | np.isnan(fixed).any(axis=1) | (g < 0))
    x, y = np.column_stack([np.ones(there.sum()), fixed[there], g[there]]), y[there]
    effects = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(x @ effects)))
        weight = p * (1 - p)
        inverse = np.linalg.inv((x * weight[:, None]).T @ x)
        hat = weight * np.einsum("ij,jk,ik->i", x, inverse, x) if penalty else np.zeros(len(y))
        matrix = (x * (weight * (1 + hat))[:, None]).T @ x
        move = np.linalg.solve(matrix, x.T @ (y - p + hat * (0.5 - p)))
        effects = effects + move * min(1.0, 3 / max(np.abs(x @ move).max(), 1e-9))
        if np.abs(x @ move).max() < 1e-9:
            break
    error = np.sqrt(inverse[-1, -1])
    return effects[-1], error, effects[-1] / error


def score(y, fixed, g):
    """Return z of the score test, the null model fitted to those who have all values."""
    there = ~(np.isnan(y) | np.isnan(fixed).any(axis=1) | (g < 0))
    x, y, g = np.column_stack([np.ones(there.sum()), fixed[there]]), y[there], g[there]
    effects = np.zeros(x.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-(x @ effects)))
        weight = p * (1 - p)
        effects = effects + np.linalg.solve((x * weight[:, None]).T @ x, x.T @ (y - p))
    across = x.T @ (weight * g)
    variance = g @ (weight * g) - across @ np.linalg.solve((x * weight[:, None]).T @ x, across)
    return g @ (y - p) / np.sqrt(variance)
