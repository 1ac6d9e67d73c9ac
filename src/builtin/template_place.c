/*
 * Templates of dates and times, cut into places from left to right: at each the longest pattern
 * that fits is taken, quoted text and everything else stands for itself. FM before a pattern leaves
 * padding out; TH and th after a number add an ordinal's ending.
 */
#include "builtin/template_internal.h"
#include "types/utf8.h"

/* The longer of two patterns with one beginning comes first. Names are compared without case; what
 * is written in which case tells the case of the result. */
static const struct {
    const char *text;
    kdi_pattern_kind kind;
} patterns[] = {
    {"SSSSS", KDI_P_SSSS}, {"MONTH", KDI_P_MONTH}, {"Y,YYY", KDI_P_Y_YYY}, {"HH24", KDI_P_HH24},
    {"HH12", KDI_P_HH},    {"IDDD", KDI_P_IDDD},   {"IYYY", KDI_P_IYYY},   {"SSSS", KDI_P_SSSS},
    {"YYYY", KDI_P_YYYY},  {"A.D.", KDI_P_A_D},    {"B.C.", KDI_P_A_D},    {"A.M.", KDI_P_A_M},
    {"P.M.", KDI_P_A_M},   {"DAY", KDI_P_DAY},     {"DDD", KDI_P_DDD},     {"FF1", KDI_P_FF1},
    {"FF2", KDI_P_FF2},    {"FF3", KDI_P_FF3},     {"FF4", KDI_P_FF4},     {"FF5", KDI_P_FF5},
    {"FF6", KDI_P_FF6},    {"FX", KDI_P_FX},       {"IYY", KDI_P_IYY},     {"MON", KDI_P_MON},
    {"TZH", KDI_P_TZH},    {"TZM", KDI_P_TZM},     {"YYY", KDI_P_YYY},     {"AD", KDI_P_AD},
    {"BC", KDI_P_AD},      {"AM", KDI_P_AM},       {"PM", KDI_P_AM},       {"CC", KDI_P_CC},
    {"DD", KDI_P_DD},      {"DY", KDI_P_DY},       {"HH", KDI_P_HH},       {"ID", KDI_P_ID},
    {"IW", KDI_P_IW},      {"IY", KDI_P_IY},       {"MI", KDI_P_MI},       {"MM", KDI_P_MM},
    {"MS", KDI_P_MS},      {"OF", KDI_P_OF},       {"RM", KDI_P_RM},       {"SS", KDI_P_SS},
    {"TZ", KDI_P_TZ},      {"US", KDI_P_US},       {"WW", KDI_P_WW},       {"YY", KDI_P_YY},
    {"D", KDI_P_D},        {"I", KDI_P_I},         {"J", KDI_P_J},         {"Q", KDI_P_Q},
    {"W", KDI_P_W},        {"Y", KDI_P_Y},
};

const char *const kdi_month_names[12] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
const char *const kdi_day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
const char *const kdi_roman_months[12] = {"I",   "II",   "III", "IV", "V",  "VI",
                                          "VII", "VIII", "IX",  "X",  "XI", "XII"};

static char upper_of(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static bool starts_with(kd_slice text, size_t at, const char *word, bool exact)
{
    for (size_t i = 0; word[i] != '\0'; i++)
        if (at + i >= text.size_bytes ||
            (exact ? text.data[at + i] != word[i] : upper_of(text.data[at + i]) != word[i]))
            return false;
    return true;
}

/* Patterns are written in capitals or in small letters; names of days and months also with a
 * capital first. "mS" is no MS. */
static bool case_is_right(kd_slice text, size_t at, const char *word, kdi_pattern_kind kind)
{
    size_t letters = 0, capitals = 0;
    for (size_t i = 0; word[i] != '\0'; i++) {
        letters += word[i] >= 'A' && word[i] <= 'Z';
        capitals += text.data[at + i] >= 'A' && text.data[at + i] <= 'Z';
    }
    bool is_name =
        kind == KDI_P_DAY || kind == KDI_P_DY || kind == KDI_P_MON || kind == KDI_P_MONTH;
    return capitals == 0 || capitals == letters ||
           (is_name && capitals == 1 && upper_of(text.data[at]) == text.data[at]);
}

static bool prefix_at(const kdi_template *self, const char *capital, const char *small)
{
    return starts_with(self->text, self->at, capital, true) ||
           starts_with(self->text, self->at, small, true);
}

/* FM, TM before a pattern. */
static void take_prefixes(kdi_template *self, kdi_place *it)
{
    for (;; self->at += 2) {
        if (prefix_at(self, "FM", "fm"))
            it->fill_mode = true;
        else if (prefix_at(self, "TM", "tm"))
            it->is_translated = true;
        else
            return;
    }
}

static bool take_pattern(kdi_template *self, kdi_place *it)
{
    kd_slice text = self->text;
    for (size_t i = 0; i < KDI_COUNT(patterns); i++) {
        if (!starts_with(text, self->at, patterns[i].text, false) ||
            !case_is_right(text, self->at, patterns[i].text, patterns[i].kind))
            continue;
        it->form = KDI_PLACE_PATTERN;
        it->kind = patterns[i].kind;
        it->text = (kd_slice){text.data + self->at, strlen(patterns[i].text)};
        self->at += it->text.size_bytes;
        if (starts_with(text, self->at, "TH", true) || starts_with(text, self->at, "th", true)) {
            it->ending = text.data[self->at] == 'T' ? 'T' : 't';
            self->at += 2;
        }
        return true;
    }
    return false;
}

static kdi_place_form form_of(char c)
{
    bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return KDI_PLACE_SPACE;
    return c > ' ' && c < 127 && !is_word ? KDI_PLACE_SEPARATOR : KDI_PLACE_CHARACTER;
}

bool kdi_template_next(kdi_template *self, kdi_place *out)
{
    kd_slice text = self->text;
    *out = (kdi_place){0};
    if (!self->in_quotes)
        take_prefixes(self, out);
    while (self->at < text.size_bytes) {
        char c = text.data[self->at];
        bool is_last = self->at + 1 == text.size_bytes;
        if (!self->in_quotes && take_pattern(self, out))
            return true;
        if (c == '"') {
            self->in_quotes = !self->in_quotes;
            self->at++;
            if (!self->in_quotes)
                take_prefixes(self, out);
            continue;
        }
        /* A backslash takes the next character as it is: inside quotes any, outside a quote. */
        self->at += c == '\\' && !is_last && (self->in_quotes || text.data[self->at + 1] == '"');
        uint32_t width;
        (void)kd_utf8_decode(text.data + self->at, text.size_bytes - self->at, &width);
        out->text = (kd_slice){text.data + self->at, width};
        out->form = self->in_quotes ? KDI_PLACE_CHARACTER : form_of(text.data[self->at]);
        out->is_quoted = self->in_quotes;
        self->at += width;
        return true;
    }
    return false;
}
