"""The function `train`, and ``accelerate launch -m hf_ntg.train FLOWS --output MODEL …`` for launchers of modules."""

import sys

from hf_ntg.training import train

__all__ = ["train"]

if __name__ == "__main__":
    from hf_ntg.cli import main

    sys.argv[1:1] = ["train"]
    main()
