/* The option table: every key of the network file once, with its type, range, default, unit, text and the
 * field of cfi_settings that it fills. Parsing, checking, layering, --set, suggestions, the resolved file and
 * docs/CONFIGURATION.md all come from it. */
#ifndef CFI_CONFIG_OPTIONS_H
#define CFI_CONFIG_OPTIONS_H

#include "config/settings.h"

typedef enum cfi_option_type {
    CFI_OPTION_BOOL,
    CFI_OPTION_INT,    /* int64_t; with `words` also one of these words    */
    CFI_OPTION_REAL,   /* double   */
    CFI_OPTION_SIZE,   /* int64_t: bytes as 32MiB   */
    CFI_OPTION_WORD,   /* one of `words`; lands its value as int   */
    CFI_OPTION_TEXT,   /* any text; with `words` a plain word of these is not text   */
    CFI_OPTION_NAME,   /* [A-Za-z][A-Za-z0-9_-]*   */
    CFI_OPTION_PATH,   /* file name, made absolute   */
    CFI_OPTION_PAIR,   /* int64_t[2]: N or [N, M]   */
    CFI_OPTION_MAP,    /* keys = children    */
    CFI_OPTION_CHOICE, /* exactly one of the children; its bare name stands for {name: {}} */
    CFI_OPTION_LIST,   /* items are checked as children[0], and land in an array when there is an offset  */
    CFI_OPTION_LAYERS  /* a LIST whose items land in cfi_settings.layers  */
} cfi_option_type;

enum {
    CFI_OPTION_OPTIONAL = 1u << 0,    /* may be missing and then has no value: the field stays zero    */
    CFI_OPTION_ALTERNATIVE = 1u << 1, /* exactly one of the alternatives of a MAP or CHOICE must be there */
    CFI_OPTION_POWER_OF_TWO = 1u << 2,
    CFI_OPTION_ABOVE = 1u << 3, /* REAL: `low` itself is not allowed                                      */
    CFI_OPTION_BELOW = 1u << 4, /* REAL: `high` itself is not allowed                                     */
    CFI_OPTION_PER_LAYER = 1u << 5 /* INT: also a mapping from layer names to such values */
};

#define CFI_OPTION_NOWHERE SIZE_MAX

typedef struct cfi_word {
    const char *name; /* NULL ends the list; that entry's value lands when the value is no word */
    int value;
    const char *same_as; /* the canonical word, for the resolved file; NULL = itself */
} cfi_word;

typedef struct cfi_option {
    const char *key; /* NULL ends a list of children                                          */
    cfi_option_type type;
    unsigned flags;
    const char *fallback;     /* default as a YAML scalar, "{}" or "[]"; NULL = must be given          */
    const char *unit;         /* or NULL                                                               */
    const char *text;         /* one line for people                                                   */
    int64_t minimum, maximum; /* INT, PAIR, SIZE: value; LIST, LAYERS: number of items                 */
    double low, high;         /* REAL                                                                  */
    const cfi_word *words;
    const struct cfi_option *children;
    size_t offset;      /* of the field, from cfi_settings or the item of the list around it; LIST: of the pointer */
    size_t word_offset; /* INT, TEXT with words: an int field for which word, or NOWHERE; LIST: of the int count */
    size_t size;        /* bytes of a text field, or of a LIST's item                            */
    int value;          /* alternatives: lands in the parent's `offset`                          */
} cfi_option;

/* The whole file: a MAP. */
const cfi_option *cfi_option_root(void);

/* The child for `key`, or NULL. For lists: the item. `option` may be NULL. */
const cfi_option *cfi_option_child(const cfi_option *option, const char *key);
const cfi_option *cfi_option_item(const cfi_option *option);

/* The close ones of the known names, for "did you mean": the nearest key among `option`'s children, or the
 * nearest of `words`; NULL when none is close. */
const char *cfi_option_nearest_key(const cfi_option *option, const char *key);
const char *cfi_option_nearest_word(const cfi_word *words, const char *word);

/* Whether a known name at this edit distance is worth suggesting for `name`; one rule for all suggestions. */
bool cfi_option_is_close(size_t distance, const char *name);

/* "sgd, rmsprop, adam or adamw": children (all, or the alternatives alone) or words joined for a message. */
#define CFI_OPTION_LIST_SIZE 320
void cfi_option_list_keys(char list[CFI_OPTION_LIST_SIZE], const cfi_option *option, bool only_alternatives,
                          const char *last_joint);
void cfi_option_list_words(char list[CFI_OPTION_LIST_SIZE], const cfi_word *words, const char *last_joint);

/* What the value must be: "a whole number from 1 to 65536", "relu, tanh or identity". For messages and the
 * document. */
void cfi_option_describe(char text[CFI_OPTION_LIST_SIZE], const cfi_option *option);

/* "must be from 1 to 65536": the range alone. */
void cfi_option_describe_range(char text[CFI_OPTION_LIST_SIZE], const cfi_option *option);

#endif
