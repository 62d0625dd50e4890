"""Displays: pictures of embeddings, by scikit-learn's convention."""
