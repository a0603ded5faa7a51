"""What two transcripts have in common."""
import re


def words(text):
    return re.sub(r"[^\w' ]", " ", text.lower()).split()


def apart(a, b):
    """Edit distance of words."""
    a, b = words(a), words(b)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
