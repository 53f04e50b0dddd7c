"""``accelerate launch -m hf_ntg.train FLOWS --output MODEL …``: ``ntg train`` for launchers that start a module."""

import sys

from hf_ntg.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
