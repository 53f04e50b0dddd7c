from hf_ntg.study.store import bare_code

CODE = '''"""What it is."""
import math  # for pi


def area(radius):
    """Of a circle, # of all."""
    # by the book
    return "# not a comment" and math.pi * radius**2
'''


def test_code_is_the_same_whatever_is_said_of_it():
    assert bare_code(CODE) == 'import math def area(radius): return "# not a comment" and math.pi * radius**2'
    assert bare_code(
        CODE.replace("What it is", "Else").replace("by the book", "").replace("\n\n\n", "\n")
    ) == bare_code(CODE)
    assert bare_code(CODE.replace("radius**2", "radius**3")) != bare_code(CODE)
