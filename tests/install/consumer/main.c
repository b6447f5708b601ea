/* An outside program: it knows nothing but the installed header. */
#include <stdio.h>
#include <string.h>

#include <cuttlefish/cuttlefish.h>

static const char network_text[] = "cuttlefish: 1\n"
                                   "data: {dataset: mnist}\n"
                                   "network: {layers: [dense: {units: 10}], loss: softmax_cross_entropy}\n";

int main(void)
{
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    cf_status status = cf_network_parse(network_text, "memory", &network, NULL, &error);
    if (status != CF_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    const int right = cf_network_parameter_count(network) == 7850 && strcmp(cf_version(), CF_CONSUMER_VERSION) == 0;
    printf("cuttlefish %s: %lld parameters\n", cf_version(), (long long)cf_network_parameter_count(network));
    cf_network_free(network);
    return right ? 0 : 1;
}
