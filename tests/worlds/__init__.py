"""Toy worlds that tests share: small markets, frames, models and platforms, each made up the same way every time."""
