"""The metrics of a report in plain words, for readers who do not know their names."""

__all__ = ["PLAIN_WORDS"]

PLAIN_WORDS = {
    "flow_jsd": "How different length and direction of the packets at each position are. 0 is equal, 1 is disjoint.",
    "flow_tv": "The same question by another measure: the share of packets that would have to change.",
    "length_distance": "By how many bytes payload lengths would have to move, on average.",
    "timing_distance": "By what power of ten the times between packets are off, on average.",
    "flow_size_distance": "How different numbers of packets, bytes in each direction, and durations of flows are.",
    "ngram_jsd": "How different the sequences of two and of three packets are.",
    "binned_ngrams": "The same with coarse lengths, as a public project computes it; for comparison with its figures.",
    "direction_distance": "How different the alternation between the two directions is.",
    "burst_distance": "How different bursts are: packets in one direction without an answer.",
    "autocorrelation_distance": "How differently lengths and times depend on those of the packets before.",
    "c2st": "How well a classifier tells them from real flows. 0.5 is a guess, 1 is certainty.",
    "mmd": "The distance between whole flows, by a kernel.",
    "correlation_difference": "How differently the lengths at two positions of a flow depend on each other.",
    "coverage": "The share of real flows that have a similar synthetic flow: whether rare kinds are missing.",
    "tstr": "How well a classifier recognises real flows after it has seen synthetic ones only.",
    "once_seen_copies": "Memory: how many more flows repeat a training flow seen once than unseen real flows do.",
    "nearest_distance": "How near a flow is to the most similar training flow. Nearer than real flows: memory.",
    "membership_inference": "Whether the synthetic flows betray which flows were trained on. 0.5: they do not.",
    "likelihood_membership": "Whether the model itself betrays which flows it was trained on. 0.5: it does not.",
    "validity": "The share of flows that the rules of TCP and UDP allow.",
}
