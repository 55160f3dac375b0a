"""Service discovery (:xep:`0030`): identities, features, forms and items of entities."""
