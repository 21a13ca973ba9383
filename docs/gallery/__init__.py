"""The cases of the gallery: one definition each, from which picture, page and listing are made."""
