"""Moving: people come from other servers and leave for them, as :xep:`0227` writes them down."""
