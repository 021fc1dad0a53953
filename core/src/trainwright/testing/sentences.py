"""Sentences that the tokenizers are trained on and that the data sets are made of."""

from __future__ import annotations

QUESTIONS = (
    "What is the capital of France?",
    "How many legs does a spider have?",
    "Which river runs through Cairo?",
    "Name the largest planet of the solar system.",
    "What is 7 plus 12?",
    "What do bees make?",
    "Which colour do you get from blue and yellow?",
    "When does water boil at sea level?",
    "Who wrote the play about Hamlet?",
    "How long is one hour in minutes?",
    "Which animal sleeps standing up?",
    "Where does the sun rise?",
    "What is the opposite of narrow?",
    "How many letters are there in the word garden?",
    "Which month comes after February?",
    "Was kostet ein Brötchen?",
)
"""What users ask, from a few words to a dozen."""

ANSWERS = (
    "Paris.",
    "A spider has eight legs.",
    "The river Nile runs through Cairo on its way to the sea.",
    "Jupiter is the largest planet; the Earth would fit into it more than a thousand times.",
    "7 + 12 = 19",
    "Bees make honey and wax.",
    "You get green.",
    "Water boils at 100 degrees, and a little earlier on a high mountain.",
    "Shakespeare wrote it around the year 1600.",
    "60 minutes",
    "A horse often sleeps standing up, because its legs can lock.",
    "In the east.",
    "Wide, or broad.",
    "There are six letters: g, a, r, d, e, n.",
    "March, with 31 days.",
    "Das weiß ich nicht — frag den Bäcker! 🥐",
)
"""One answer to each question, from one word to twenty; the last holds letters of two, three and four bytes."""

WRONG_ANSWERS = (
    "I do not know.",
    "Let me think about that for a very long time before I tell you nothing at all.",
    "No.",
    "That is none of your business.",
    "Perhaps it is a kind of cheese?",
)
"""Answers that nobody would prefer."""

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "Answer in one short sentence.",
    "Be brief, be kind, and never guess.",
)

STORIES = (
    "The old clock in the hall struck nine, and nobody came down the stairs.",
    "She counted the boats in the harbour: one, two, three, and then the fog took the rest.",
    "def add(left, right):\n    return left + right\n",
    "Every morning the baker opened the door, swept the step and put the bread in the window.",
    "It rained.",
    'A list of things: ["pen", "paper", "ink"], and 42 stamps.',
    "When the train stopped between two fields the children pressed their faces to the glass and looked for cows.",
    "The answer to the question is in the question, said the teacher, and wrote the question on the board again.",
)
"""Plain text without turns, prose and code."""

ROLES = ("system\n", "user\n", "assistant\n", "model\n", "tool\n")

CORPUS = (*QUESTIONS, *ANSWERS, *WRONG_ANSWERS, *SYSTEM_PROMPTS, *STORIES, *ROLES * 20)
"""Everything, and the names of the roles often enough that each becomes one token."""
