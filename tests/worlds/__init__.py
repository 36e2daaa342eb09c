"""Toy worlds that tests share: small markets, frames, models and platforms."""
