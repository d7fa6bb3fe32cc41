"""The topics that are evaluated, in their order on a card: the one place to add a topic."""

from services.cards.b12 import VITAMIN_B12
from services.cards.card_parts import Topic
from services.cards.muscle import MUSCLE

TOPICS: tuple[Topic, ...] = (VITAMIN_B12, MUSCLE)
