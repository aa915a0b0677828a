"""Rounds of clustering: gather pooled parts over ranks, cluster them once, label them."""
