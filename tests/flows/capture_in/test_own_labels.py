from hf_ntg.flows.capture_in.own_labels import COMMENT_PREFIX, labels_of_comments


def test_labels_are_taken_from_our_comments_only():
    comments = {
        1: COMMENT_PREFIX + b'{"label": "a \\"b\\""}',
        2: b'{"label": "foreign"}',
        3: COMMENT_PREFIX + b"[" * 100_000,
        4: COMMENT_PREFIX + b'{"label": 5}',
        5: COMMENT_PREFIX + b'["label"]',
        9: COMMENT_PREFIX + b'{"label": "later"}',
    }
    assert labels_of_comments(comments, [1, 2, 3, 4, 5, 6]) == ['a "b"', *[None] * 5]
    assert list(comments) == [9]
